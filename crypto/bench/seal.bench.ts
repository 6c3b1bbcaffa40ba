import SEAL from 'node-seal';
import type { Ciphertext, MainModule } from 'node-seal';
import {
  addKeyShares,
  bodyBytes,
  CiphertextSum,
  commonReference,
  dealKey,
  encryptReals,
  encryptUnderPublicKey,
  encryptUnderSharedKey,
  generateSealKey,
  jointPublicKey,
  maskBytes,
  MaskSum,
  openBgv,
  openCkks,
  openingShare,
  openReals,
  openSum,
  openWithShares,
  realParameters,
  sealParameters,
  systemRandom,
} from '@carapace/crypto';
import type { Bgv, Ciphertexts, KeyArrangement } from '@carapace/crypto';
import { figure, measure, readable, summary } from '../../scripts/bench-kit.ts';
import type { Bench, Figure, Measured } from '../../scripts/bench-kit.ts';

const VALUES = 1_000_000;
const SOME = { clients: 8, maxValue: 4095, length: VALUES };
const COMMITTEE: KeyArrangement = { kind: 'committee', members: 3, threshold: 2 };
/** Encryptions of the peer take seconds. */
const FEW = { warmUps: 1, repeats: 3 };

export const bench: Bench = {
  description:
    'homomorphic encryption: bytes, a client, the server, key holders, beside the default parameters of TenSEAL',
  method:
    '1,000,000 values, 8 clients, one thread. Ours: values up to 4095 in packed BGV, key loading, packing and copies out of WebAssembly included; the server checks and adds one client’s upload. ' +
    'Peer: CKKS with N = 8192, primes of 60, 40, 40 and 60 bits, scale 2^40, public key (the defaults of TenSEAL’s tutorials and of FLARE), through the same node-seal: encode, encrypt, save; load, add. Medians of 3 after a warm-up',
  run: async () => {
    const peer = await peerCosts();
    return [
      ...peer.figures,
      ...(await arrangement('shared', { kind: 'shared' }, peer)),
      ...(await arrangement('holder', { kind: 'holder' }, peer)),
      ...(await arrangement('committee 2 of 3', COMMITTEE, peer)),
      ...(await reals(peer)),
    ];
  },
};

interface Costs {
  readonly bytes: number;
  readonly client: Measured;
  readonly server: Measured;
}

async function arrangement(name: string, keys: KeyArrangement, peer: Costs): Promise<Figure[]> {
  const bgv = await openBgv(sealParameters({ keys, ...SOME }));
  const parties = partiesOf(bgv, keys);
  const values = new Uint32Array(VALUES).map((_, i) => (i * 2654435761) % 4096);
  let input: Ciphertexts | undefined;
  const client = await measure(() => milliseconds(() => (input = parties.encrypt(values))), FEW);
  const sum = new CiphertextSum(bgv);
  const server = await measure(() => milliseconds(() => sum.add(input!)), FEW);
  const opening = parties.open(sum.ciphertexts());
  if (opening.values?.[1] !== 4 * values[1]!) throw new Error('the sum is wrong');
  const bytes = (bodyBytes(bgv.parameters) + maskBytes(bgv.parameters)) / VALUES;
  const figures = costs(name, bgv.parameters.profile.name, { bytes, client, server }, peer, goalsOf(keys));
  const rest = keys.kind === 'committee' ? await member(bgv, input!) : [];
  sum.free();
  bgv.free();
  return [
    ...figures,
    ...rest,
    figure(`${name}: opening the sum`, 'ms', exact(opening.milliseconds), {
      anchor: opening.parts,
    }),
  ];
}

interface Goals {
  readonly bytes: number;
  readonly client: number | null;
  readonly server: number | null;
}

/** Times are wanted of seeded ciphertexts alone. */
function goalsOf({ kind }: KeyArrangement): Goals {
  if (kind === 'shared') return { bytes: 4.1, client: 60, server: 13 };
  return { bytes: kind === 'holder' ? 4.1 : 11, client: null, server: null };
}

function costs(name: string, ring: string, own: Costs, peer: Costs, goals: Goals): Figure[] {
  const faster = (peer.client.median + peer.server.median) / (own.client.median + own.server.median);
  return [
    figure(`${name}: upload, ${ring}`, 'B/parameter', exact(own.bytes), {
      goal: goals.bytes,
      atMost: true,
      anchor: `float32 4, TenSEAL’s default ${readable(peer.bytes)}`,
    }),
    figure(`${name}: client`, 'ms', own.client, {
      goal: goals.client,
      atMost: true,
      anchor: `TenSEAL’s default ${readable(peer.client.median)} ms`,
    }),
    figure(`${name}: server, one client’s upload`, 'ms', own.server, {
      goal: goals.server,
      atMost: true,
      anchor: `TenSEAL’s default ${readable(peer.server.median)} ms`,
    }),
    figure(`${name}: smaller than the peer`, 'times', exact(peer.bytes / own.bytes), {
      goal: goals.client === null ? null : 20,
      anchor: 'wanted of seeded BGV',
    }),
    figure(`${name}: faster than the peer, client and server`, 'times', exact(faster), {
      goal: goals.client === null ? null : 20,
      anchor: 'wanted of seeded BGV',
    }),
  ];
}

interface Parties {
  encrypt(values: Uint32Array): Ciphertexts;
  open(sum: Ciphertexts): {
    readonly values: Uint32Array | undefined;
    readonly milliseconds: number;
    readonly parts: string;
  };
}

function partiesOf(bgv: Bgv, keys: KeyArrangement): Parties {
  if (keys.kind === 'committee') return committeeOf(bgv, keys.members);
  const { secretKey, publicKey } = generateSealKey(bgv);
  return {
    encrypt: (values) =>
      keys.kind === 'shared'
        ? encryptUnderSharedKey(bgv, secretKey, values)
        : encryptUnderPublicKey(bgv, publicKey, values),
    open: (sum) => {
      const started = performance.now();
      const { values } = openSum(bgv, secretKey, sum);
      return { values, milliseconds: performance.now() - started, parts: 'one decryption' };
    },
  };
}

function committeeOf(bgv: Bgv, members: number): Parties {
  const reference = commonReference(bgv, new Uint8Array(32));
  const dealt = Array.from({ length: members }, () => dealKey(bgv, reference, systemRandom));
  const publicShares = dealt.map(({ publicShare }) => publicShare);
  const publicKey = jointPublicKey(bgv, reference, publicShares);
  const keyShares = [0, 1].map((to) =>
    addKeyShares(
      bgv,
      dealt.map(({ shares }) => shares[to]!),
    ),
  );
  return {
    encrypt: (values) => encryptUnderPublicKey(bgv, publicKey, values),
    open: ({ body, mask }) => {
      const started = performance.now();
      const shares = keyShares.map((share, i) => answered(bgv, share, i + 1, mask));
      const shared = performance.now() - started;
      const { values } = openWithShares(bgv, body, shares);
      const milliseconds = performance.now() - started;
      return { values, milliseconds, parts: `two members one after the other ${readable(shared)} ms of it` };
    },
  };
}

function answered(bgv: Bgv, share: Uint8Array, number: number, mask: Uint8Array): Uint8Array {
  const opening = openingShare(bgv, share, { number, quorum: [1, 2] }, mask);
  for (;;) {
    const step = opening.next();
    if (step.done === true) return step.value;
  }
}

/** What a member does for every contributor. */
async function member(bgv: Bgv, { mask }: Ciphertexts): Promise<Figure[]> {
  const masks = new MaskSum(bgv);
  const added = await measure(() => milliseconds(() => masks.add(mask)), FEW);
  masks.free();
  const anchor = `its mask, ${readable(mask.length / VALUES)} B/parameter to fetch`;
  return [figure('committee: a member, one contributor', 'ms', added, { anchor })];
}

async function reals(peer: Costs): Promise<Figure[]> {
  const choice = { clients: 8, maxMagnitude: 1, length: VALUES, precision: 2 ** -30 };
  const ckks = await openCkks(realParameters(choice));
  const { secretKey } = generateSealKey(ckks);
  const values = new Float64Array(VALUES).map((_, i) => Math.sin(i));
  let input: Ciphertexts | undefined;
  const client = await measure(() => milliseconds(() => (input = encryptReals(ckks, secretKey, values))), FEW);
  const sum = new CiphertextSum(ckks);
  const server = await measure(() => milliseconds(() => sum.add(input!)), FEW);
  const opened = openReals(ckks, secretKey, sum.ciphertexts());
  const error = opened.reduce((worst, value, i) => Math.max(worst, Math.abs(value - 4 * values[i]!)), 0);
  const { parameters } = ckks;
  const bytes = (bodyBytes(parameters) + maskBytes(parameters)) / VALUES;
  const anchor = `TenSEAL’s default ${readable(peer.bytes)} B, ${readable(peer.client.median)} and ${readable(peer.server.median)} ms`;
  sum.free();
  ckks.free();
  return [
    figure(`reals (CKKS, shared): upload, ${parameters.profile.name}`, 'B/parameter', exact(bytes), { anchor }),
    figure('reals (CKKS, shared): client', 'ms', client, { anchor }),
    figure('reals (CKKS, shared): server, one client’s upload', 'ms', server, { anchor }),
    figure('reals (CKKS, shared): largest error', 'of 1', exact(error), {
      goal: parameters.errorBound,
      atMost: true,
      anchor: 'the bound that the parameters state',
    }),
  ];
}

async function peerCosts(): Promise<Costs & { readonly figures: readonly Figure[] }> {
  const seal = await SEAL();
  const { client, server, bytes } = await peerIn(seal);
  const anchor = 'poly_modulus_degree 8192, coeff_mod_bit_sizes [60, 40, 40, 60], global_scale 2^40';
  return {
    bytes,
    client,
    server,
    figures: [
      figure('peer: upload', 'B/parameter', exact(bytes), { anchor }),
      figure('peer: client', 'ms', client, { anchor }),
      figure('peer: server, one client’s upload', 'ms', server, { anchor }),
    ],
  };
}

async function peerIn(seal: MainModule): Promise<Costs> {
  const parameters = new seal.EncryptionParameters(seal.SchemeType.ckks);
  parameters.setPolyModulusDegree(8192);
  parameters.setCoeffModulus(seal.CoeffModulus.Create(8192, Int32Array.from([60, 40, 40, 60])));
  const context = new seal.SEALContext(parameters, true, seal.SecLevelType.tc128);
  const generator = new seal.KeyGenerator(context);
  const encoder = new seal.CKKSEncoder(context);
  const encryptor = new seal.Encryptor(context, generator.createPublicKey());
  const evaluator = new seal.Evaluator(context);
  const slots = encoder.slotCount();
  const values = new Float64Array(slots).map((_, i) => Math.sin(i));
  const blocks = Math.ceil(VALUES / slots);
  let saved: Uint8Array[] = [];
  const client = await measure(() => {
    saved = [];
    return milliseconds(() => {
      for (let block = 0; block < blocks; block++) saved.push(encrypted());
    });
  }, FEW);
  const sums: Ciphertext[] = [];
  const server = await measure(() => milliseconds(() => saved.forEach(add)), FEW);
  return { bytes: saved.reduce((sum, each) => sum + each.length, 0) / VALUES, client, server };

  function encrypted(): Uint8Array {
    const [plaintext, ciphertext] = [new seal.Plaintext(), new seal.Ciphertext()];
    encoder.encode(values, 2 ** 40, plaintext);
    encryptor.encrypt(plaintext, ciphertext);
    const bytes = Uint8Array.from(ciphertext.saveToArray(seal.ComprModeType.none) as Uint8Array);
    plaintext.delete();
    ciphertext.delete();
    return bytes;
  }

  function add(bytes: Uint8Array, block: number): void {
    const ciphertext = new seal.Ciphertext();
    ciphertext.loadFromArray(context, bytes);
    const sum = sums[block];
    if (sum === undefined) sums[block] = ciphertext;
    else {
      evaluator.addInplace(sum, ciphertext);
      ciphertext.delete();
    }
  }
}

function milliseconds(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

function exact(value: number): Measured {
  return summary([value]);
}
