// BullMQ: locked and renewed in both forms, so at least once. Kept: ended jobs stay with their
// result; fast: they are removed. `node bullmq_peer.mjs work` executes, without it takes orders.
import { createInterface } from "node:readline";

import { Queue, QueueEvents, Worker } from "bullmq";
import IORedis from "ioredis";

const QUEUE = "peer";
const BULK = 1000;
// The best of 10, 50, 100, 300 and 1,000 here.
const CONCURRENCY = 100;
// Exactly 200 bytes once it is JSON, as Penstock's own.
const PAYLOAD = { text: "x".repeat(189) };
const OPTIONS = { removeOnComplete: process.env.PEER_FORM !== "kept" };

const Redis = IORedis.default ?? IORedis.Redis ?? IORedis;
const connect = () => new Redis(process.env.PEER_STORE, { maxRetriesPerRequest: null });
// Nanoseconds since the machine started, as Python's monotonic clock counts on Linux.
const now = () => Number(process.hrtime.bigint()) / 1e9;

async function submit(tasks, seconds, size, step) {
  const begin = now();
  let submitted = 0;
  while (submitted < tasks && now() < begin + seconds) {
    await step();
    submitted += size;
  }
  return { begin, end: now(), tasks: submitted };
}

async function roundTrips(queue, tasks, seconds) {
  const queueEvents = new QueueEvents(QUEUE, { connection: connect() });
  await queueEvents.waitUntilReady();
  const times = [];
  const begin = now();
  while (times.length < tasks && now() < begin + seconds) {
    const start = now();
    const job = await queue.add("nothing", PAYLOAD);
    await job.waitUntilFinished(queueEvents);
    times.push(now() - start);
  }
  await queueEvents.close();
  return { begin, end: now(), times };
}

async function obey() {
  const queue = new Queue(QUEUE, { connection: connect(), defaultJobOptions: OPTIONS });
  const many = Array.from({ length: BULK }, () => ({ name: "nothing", data: PAYLOAD }));
  const verbs = {
    bulk: (o) => submit(o.tasks, o.seconds, BULK, () => queue.addBulk(many)),
    one_by_one: (o) => submit(o.tasks, o.seconds, 1, () => queue.add("nothing", PAYLOAD)),
    round_trips: (o) => roundTrips(queue, o.tasks, o.seconds),
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    console.log(JSON.stringify(await verbs[order.do](order)));
  }
  await queue.close();
  process.exit(0);
}

function work() {
  const worker = new Worker(QUEUE, async () => null, {
    connection: connect(),
    concurrency: CONCURRENCY,
  });
  worker.on("error", (error) => console.error(error));
  process.on("SIGTERM", () => worker.close().then(() => process.exit(0)));
}

if (process.argv[2] === "work") work();
else await obey();
