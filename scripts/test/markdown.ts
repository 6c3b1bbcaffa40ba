/** What the tests of documents read from Markdown. */

/** Contents of the fenced blocks of a language, in their order. */
export function fences(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)].flatMap(([, found, content = '']) =>
    found === language ? [content] : [],
  );
}

/** Cells of the rows of every table whose first cell is code. */
export function tableRows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}
