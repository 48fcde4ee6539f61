import { setTimeout as sleep } from 'node:timers/promises';
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
} from '../test-support/redis.ts';
import { startRelay } from '../test-support/relay.ts';
import { until } from '../test-support/until.ts';
import type { Outage, Print } from './run-outage.ts';

const APPEND_ONLY = ['--appendonly', 'yes', '--appendfsync'];
const MIN_REPLICAS = '--min-replicas-to-write 1 --min-replicas-max-lag 1'.split(' ');
const silenceMs = 1000; // for the sentinels

export const noPersistence = single('no persistence', []);

/** The outages of the drill, in this order. */
export const outages: Outage[] = [
  single('AOF, appendfsync always', [...APPEND_ONLY, 'always']),
  single('AOF, appendfsync everysec', [...APPEND_ONLY, 'everysec']),
  noPersistence,
  restartedMaster('Sentinel, no persistence'),
  killedMaster('Sentinel', []),
  killedMaster('Sentinel, min-replicas 1, lag 1 s', MIN_REPLICAS),
  partitionedMaster('Sentinel', []),
  partitionedMaster('Sentinel, min-replicas 1, lag 1 s', MIN_REPLICAS),
  hungCluster(),
];

function single(durability: string, args: string[]): Outage {
  return {
    setting: `one Redis, ${durability}`,
    failure: 'killed, restarted after 1 s',
    start: async () => {
      const redis = await startRedis({ args });
      const failAndRepair = async (say: Print) => {
        say('Redis is killed (SIGKILL).');
        await redis.kill();
        await sleep(1000);
        say('Redis is restarted with the data on its disk.');
        await redis.restart();
      };
      return { ...redis, failAndRepair };
    },
  };
}

function restartedMaster(setting: string): Outage {
  return {
    setting,
    failure: 'master killed, restarted at once',
    start: async () => {
      const servers = await startRedisSentinel({ silenceMs });
      const failAndRepair = async (say: Print) => {
        say('The master is killed and restarted before the sentinels notice. It is empty.');
        await servers.master.restart();
        await until(
          async () => (await servers.replica.cli('ROLE')).includes('connected'),
          'the replica is connected',
        );
        say('The replica has copied it and is now empty, too.');
      };
      return { ...servers, failAndRepair };
    },
  };
}

function killedMaster(setting: string, args: string[]): Outage {
  return {
    setting,
    failure: 'master killed',
    start: async () => {
      const servers = await startRedisSentinel({ args, silenceMs });
      const failAndRepair = async (say: Print) => {
        say('The master is killed (SIGKILL).');
        await servers.master.kill();
        await promotion(servers.replica, say);
        if (args === MIN_REPLICAS) await bringBack(servers.master, servers.replica, say);
      };
      return { ...servers, failAndRepair };
    },
  };
}

function partitionedMaster(setting: string, args: string[]): Outage {
  return {
    setting,
    failure: 'replica cut off for 4 s, then master killed',
    start: async () => {
      const stack = new AsyncDisposableStack();
      const relays: Awaited<ReturnType<typeof startRelay>>[] = [];
      const relayTo = async (port: number) => {
        const relay = stack.adopt(await startRelay(port), ({ stop }) => stop());
        relays.push(relay);
        return relay.port;
      };
      const { url, master, replica, stop } = await startRedisSentinel({ args, relayTo, silenceMs });
      stack.defer(stop);
      const failAndRepair = async (say: Print) => {
        say('The network silently drops everything between the master and its replica.');
        const list = await master.cli('CLIENT', 'LIST', 'TYPE', 'replica');
        relays[0]?.silence(Number(/ addr=[\d.]+:(\d+)/.exec(list)?.[1]));
        await sleep(4000);
        say('The master is killed (SIGKILL).');
        await master.kill();
        await promotion(replica, say);
        if (args === MIN_REPLICAS) await bringBack(master, replica, say);
      };
      return { url, failAndRepair, stop: () => stack.disposeAsync() };
    },
  };
}

function hungCluster(): Outage {
  return {
    setting: 'Cluster, 3 masters',
    failure: 'one master hung for 4 s (SIGSTOP)',
    start: async () => {
      const cluster = await startRedisCluster({ silenceMs: 2000 });
      const failAndRepair = async (say: Print) => {
        say('One of three masters hangs (SIGSTOP).');
        cluster.nodes[1]?.pause();
        await sleep(4000);
        say('It resumes (SIGCONT). The others trust it again after twice the node timeout of 2 s.');
        cluster.nodes[1]?.resume();
      };
      return { ...cluster, failAndRepair };
    },
  };
}

async function promotion(replica: RedisServer, say: Print): Promise<void> {
  say('The sentinels have to notice, agree and promote the replica.');
  const isMaster = async () => (await replica.cli('ROLE')).startsWith('master');
  await until(isMaster, 'the replica is promoted');
  say('The replica is the master now.');
}

/** With min-replicas-to-write, the new master refuses writes until it has a replica. */
async function bringBack(old: RedisServer, master: RedisServer, say: Print): Promise<void> {
  await sleep(1000);
  say('It has no replica, so it refuses writes. The old master is restarted as its replica.');
  await old.restart();
  await old.cli('REPLICAOF', '127.0.0.1', `${master.port}`);
}
