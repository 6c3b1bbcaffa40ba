import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BodyTurns } from '../src/app/body-turns.ts';
import { manualClock } from '../testing/manual-clock.ts';

/** A body that brings what it is given, when it is given. */
function fed(): {
  body: AsyncIterable<Uint8Array>;
  give: (byte: number) => void;
  end: () => void;
  returned: () => boolean;
} {
  const stream = new TransformStream<Uint8Array, Uint8Array>();
  const writer = stream.writable.getWriter();
  let returned = false;
  async function* body(): AsyncGenerator<Uint8Array> {
    const reader = stream.readable.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    } finally {
      returned = true;
    }
  }
  return {
    body: body(),
    give: (byte) => void writer.write(Uint8Array.of(byte)),
    end: () => void writer.close(),
    returned: () => returned,
  };
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<number[]> {
  const bytes: number[] = [];
  for await (const piece of body) bytes.push(...piece);
  return bytes;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

test('a body that brings nothing is given up when another waits, and not before', async () => {
  const clock = manualClock();
  const turns = new BodyTurns(clock);
  const [hung, next] = [fed(), fed()];
  const first = turns.run('key', hung.body, bytesOf).catch((error: unknown) => error);
  hung.give(1);
  await settle();
  clock.advance(600_000);
  await settle();
  const second = turns.run('key', next.body, bytesOf);
  next.give(2);
  next.end();
  await settle();
  clock.advance(999);
  await settle();
  const unsettled = Symbol('unsettled');
  expect(await Promise.race([first, Promise.resolve(unsettled)])).toBe(unsettled);
  clock.advance(1);
  expect(await first).toMatchObject({ code: 'REQUEST_TIMEOUT' });
  expect(await second).toEqual([2]);
});

test('one that is slow keeps its turn, however many wait', async () => {
  const clock = manualClock();
  const turns = new BodyTurns(clock);
  const [slow, ...others] = [fed(), fed(), fed()] as const;
  const first = turns.run('key', slow.body, bytesOf);
  const rest = others.map(({ body, give, end }, i) => {
    const run = turns.run('key', body, bytesOf);
    give(10 + i);
    end();
    return run;
  });
  for (let byte = 0; byte < 5; byte++) {
    await settle();
    clock.advance(900);
    slow.give(byte);
  }
  await settle();
  slow.end();
  expect(await first).toEqual([0, 1, 2, 3, 4]);
  expect(await Promise.all(rest)).toEqual([[10], [11]]);
});

test('what takes its time with a body, and not the body itself, is never given up', async () => {
  const clock = manualClock();
  const turns = new BodyTurns(clock);
  const [first, second] = [fed(), fed()];
  const writing = Promise.withResolvers<void>();
  const kept = turns.run('key', first.body, async (body) => {
    for await (const [byte] of body) {
      await writing.promise;
      return byte;
    }
    return undefined;
  });
  first.give(7);
  await settle();
  const waits = turns.run('key', second.body, bytesOf);
  second.end();
  for (let i = 0; i < 10; i++) {
    clock.advance(1_000);
    await settle();
  }
  writing.resolve();
  expect(await kept).toBe(7);
  expect(await waits).toEqual([]);
  // Whoever leaves a body early ends it.
  expect(first.returned()).toBe(true);
});

test('bodies of other keys do not wait', async () => {
  const turns = new BodyTurns(manualClock());
  const [hung, free] = [fed(), fed()];
  void turns.run('one', hung.body, bytesOf);
  free.give(1);
  free.end();
  expect(await turns.run('two', free.body, bytesOf)).toEqual([1]);
});
