/** A relative link: a file beside the page ('' for the page itself) and a heading in it. */
export type Link = { path: string; anchor: string | undefined };

/** The relative links of a page. */
export function linksIn(page: string): Link[] {
  return [...withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#', 2);
      return { path, anchor };
    });
}

/** The headings of a page, with the anchors that forges make of them. */
export function headingsIn(page: string): { level: number; text: string; anchor: string }[] {
  return [...withoutCode(page).matchAll(/^(#+) (.+)$/gm)].map(([, marks = '', text = '']) => ({
    level: marks.length,
    text,
    anchor: text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  }));
}

/**
 * The command lines of a page that begin with `fossilrepo`, as words behind it: from code blocks and from text in backquotes.
 * A word with … in it, or in brackets, is left out; so is what follows a comment sign.
 */
export function commandsIn(page: string): string[][] {
  const { blocks, text } = codeBlocks(page);
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  // A line that ends in a backslash goes on.
  const lines = blocks.replaceAll(/\\\n\s*/g, ' ').split('\n');
  return [...lines, ...spans].flatMap((line) => {
    const [, rest] = /^\s*(?:sudo )?(?:\S*\/)?fossilrepo(?: (\S.*))?$/.exec(line) ?? [];
    if (rest === undefined || /^COMMAND\b/.test(rest)) return [];
    return [words(rest)];
  });
}

function words(line: string): string[] {
  const found = [...line.replace(/(^|\s)#.*$/, '').matchAll(/"([^"]*)"|(\S+)/g)];
  return found
    .map(([, quoted, plain = '']) => quoted ?? plain)
    .filter((word) => !word.includes('…') && !/^\[.*\]$/.test(word));
}

/** The page's code (fenced, or indented by four spaces after an empty line), and the rest. */
function codeBlocks(page: string): { blocks: string; text: string } {
  const blocks: string[] = [];
  const text: string[] = [];
  let fenced = false;
  let indented = false;
  let before = '';
  for (const line of page.split('\n')) {
    if (line.startsWith('```')) fenced = !fenced;
    else {
      indented = / {4}/.test(line.slice(0, 4)) && (indented || before.trim() === '');
      (fenced || indented ? blocks : text).push(line);
    }
    before = line;
  }
  return { blocks: blocks.join('\n'), text: text.join('\n') };
}

const withoutCode = (page: string): string => codeBlocks(page).text;
