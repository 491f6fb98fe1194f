import { html } from 'hono/html';
import { type Html, page } from './layout.ts';

/** What people read for each status that these pages answer with. */
const texts = {
  400: ['This cannot be understood', 'The request is not one that these pages know.'],
  403: [
    'Not from here',
    'This form was sent by another site, or by something that is no browser. Open the page and send it from there.',
  ],
  404: ['There is nothing here', 'The address may be mistyped.'],
  405: ['Not this way', 'This page does not take that kind of request.'],
  413: ['Too large', 'These pages take only small forms.'],
  415: ['Not a form', 'These pages take only forms.'],
  500: [
    'Something went wrong',
    'It is not your fault. The administrator finds the cause with: fossilrepo logs management',
  ],
} as const;

export type ProblemStatus = keyof typeof texts;

/** Whether a status has a page of its own. */
export const isProblem = (status: number): status is ProblemStatus => Object.hasOwn(texts, status);

export function problemPage(domain: string, status: ProblemStatus): Html {
  const [title, text] = texts[status];
  return page(
    { domain, title: `${title} - ${domain}` },
    html`<h1>${title}</h1>
      <p>${text}</p>
      <p><a href="/">To the repositories</a></p>`,
  );
}
