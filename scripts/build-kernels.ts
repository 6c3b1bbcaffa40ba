/**
 * Compiles the WebAssembly kernels (AssemblyScript) into TypeScript modules that hold the binary as base64: importing one is no I/O,
 * and works the same in Node, in a bundle and in a browser. The modules are committed; a test compiles them again and compares.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

export interface Kernel {
  readonly source: string;
  readonly module: string;
  /** In place of what is in the source file. */
  readonly text?: string;
}

export const KERNELS: readonly Kernel[] = [
  { source: 'crypto/src/rlwe/assembly/kernel.ts', module: 'crypto/src/rlwe/kernel-wasm.ts' },
  { source: 'crypto/src/sharing/assembly/kernel.ts', module: 'crypto/src/sharing/kernel-wasm.ts' },
  { source: 'crypto/src/words/assembly/kernel.ts', module: 'crypto/src/words/kernel-wasm.ts' },
  {
    source: 'aggregation/src/secagg/rounding/assembly/kernel.ts',
    module: 'aggregation/src/secagg/rounding/kernel-wasm.ts',
  },
  {
    source: 'aggregation/src/privacy/mechanisms/lattice/assembly/kernel.ts',
    module: 'aggregation/src/privacy/mechanisms/lattice/kernel-wasm.ts',
  },
  {
    source: 'client-sdk/src/training/portable/assembly/kernel.ts',
    module: 'client-sdk/src/training/portable/kernel-wasm.ts',
  },
];

const ROOT = join(import.meta.dirname, '..');
const OPTIONS = ['--runtime', 'stub', '--noAssert', '--use', 'abort=', '-O3', '--importMemory', '--enable', 'simd'];

/** The text of the module of a kernel. */
export async function compileKernel({ source, text }: Kernel): Promise<string> {
  const written = text ?? (await readFile(join(ROOT, source), 'utf8'));
  let binary: Uint8Array | undefined;
  const { error } = await asc.main(['kernel.ts', '--outFile', 'kernel.wasm', ...OPTIONS], {
    readFile: (name) => (name === 'kernel.ts' ? written : null),
    writeFile: (_name, contents) => void (binary = contents as Uint8Array),
    listFiles: () => [],
  });
  if (error !== null || binary === undefined) throw new Error(`${source} does not compile`, { cause: error });
  return moduleOf(source, binary);
}

function moduleOf(source: string, binary: Uint8Array): string {
  const lines = [
    `/** Compiled from \`${source}\` by \`npm run kernels\`; ${binary.length} bytes of WebAssembly. Not to be edited. */`,
    'export const KERNEL_WASM: string =',
    `  '${Buffer.from(binary).toString('base64')}';`,
  ];
  return `${lines.join('\n')}\n`;
}

if (import.meta.main) {
  for (const kernel of KERNELS) await writeFile(join(ROOT, kernel.module), await compileKernel(kernel));
}
