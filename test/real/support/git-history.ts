/**
 * A history for `fossil import --git`: four changed files in each check-in, and a branch now and then that is merged later.
 * @param files how many different ones there are
 */
export function* gitHistory(checkins: number, each = 4, files = 400): Generator<string> {
  const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`;
  for (let index = 1; index <= checkins; index++) {
    const branch = index % 50 < 5 ? `side-${Math.floor(index / 50)}` : 'master';
    yield `commit refs/heads/${branch}\nmark :${index}\n`;
    yield `committer Person ${index % 7} <p${index % 7}@example.com> ${1_600_000_000 + index * 60} +0000\n`;
    yield data(`Check-in ${index}\n`);
    // A side goes off for five check-ins, and comes back with the sixth.
    const parent = index % 50 === 5 ? index - 6 : index - 1;
    if (parent > 0) yield `from :${parent}\n`;
    if (index % 50 === 5 && index > 5) yield `merge :${index - 1}\n`;
    for (let file = 0; file < each; file++)
      yield `M 100644 inline folder-${index % 10}/f${(index * 7 + file * 13) % files}\n${data(`line ${index} ${file}\n`.repeat(20))}`;
  }
}
