/** The reference page at /docs: rendered from the OpenAPI document by the coordinator itself, so that it works without a network. */

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> };
  readonly responses?: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> }>
  >;
}

interface Entry {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2430; background: #fff }
  h2 { margin-top: 2.5rem; border-bottom: 1px solid #d9dee6 } code, pre { font: 0.85em/1.45 ui-monospace, monospace }
  details { border: 1px solid #d9dee6; border-radius: 6px; margin: 0.5rem 0; padding: 0.5rem 0.75rem } summary { cursor: pointer }
  .method { display: inline-block; min-width: 4rem; font-weight: 700 } .GET { color: #1a6b3c } .POST { color: #1f4f9c } .PUT { color: #8a5a00 } .DELETE { color: #a3222d }
  pre { background: #f5f7fa; padding: 0.75rem; overflow-x: auto; border-radius: 4px } .who { color: #5b6675; font-size: 0.85em } table { border-collapse: collapse }
  td { padding: 0.15rem 1rem 0.15rem 0; vertical-align: top }
  @media (prefers-color-scheme: dark) { body { background: #14181f; color: #dfe5ee } details, h2 { border-color: #333c4a } pre { background: #1d232d } }`;

export function docsPage(document: unknown): string {
  const { info, paths = {} } = document as {
    info: { title: string; version: string; description: string };
    paths?: Record<string, Record<string, Operation>>;
  };
  const entries = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const tags = [...new Set(entries.map(({ operation }) => operation.tags?.[0] ?? 'other'))];
  const sections = tags.map(
    (tag) =>
      `<h2>${escape(tag)}</h2>${entries
        .filter(({ operation }) => (operation.tags?.[0] ?? 'other') === tag)
        .map(entryHtml)
        .join('')}`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(info.title)}</title><style>${STYLE}</style></head>
<body><h1>${escape(info.title)} <small>${escape(info.version)}</small></h1><p>${escape(info.description)}</p>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. Errors are problem details (RFC 9457) with a stable <code>code</code>.</p>${sections.join('')}</body></html>`;
}

function entryHtml({ method, path, operation }: Entry): string {
  const who = operation.security?.map((scheme) => Object.keys(scheme).join(', ')).join(' or ') ?? 'anyone';
  const rows = (operation.parameters ?? []).map(
    ({ name, in: where, description = '' }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${escape(where)}</td><td>${escape(description)}</td></tr>`,
  );
  const body = schemaOf(operation.requestBody?.content);
  const answers = Object.entries(operation.responses ?? {}).flatMap(([status, { content }]) => {
    const schema = schemaOf(content);
    return schema === null ? [] : [`<p>${escape(status)}</p><pre>${escape(schema)}</pre>`];
  });
  return `<details><summary><span class="method ${method}">${method}</span> <code>${escape(path)}</code> ${escape(operation.summary ?? '')} <span class="who">${escape(who)}</span></summary>
<p>${escape(operation.description ?? '')}</p>${rows.length > 0 ? `<table>${rows.join('')}</table>` : ''}${body === null ? '' : `<p>Body</p><pre>${escape(body)}</pre>`}${answers.join('')}</details>`;
}

function schemaOf(content: Readonly<Record<string, { readonly schema?: unknown }>> | undefined): string | null {
  const [first] = Object.values(content ?? {});
  return first?.schema === undefined ? null : JSON.stringify(first.schema, null, 2);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
