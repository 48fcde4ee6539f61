import * as process from './process-drills.ts';
import type { Drill } from './run-drill.ts';
import * as stores from './store-drills.ts';

/** By name: `npm run drill:NAME`. */
export const drills: Record<string, Drill> = {
  'rotate-secret': process.rotateSecret,
  'redis-restart': stores.restartRedis,
  failover: stores.failOver,
  'restore-redis': stores.restoreRedis,
  'restore-sqlite': stores.restoreSqlite,
  'restore-postgres': stores.restorePostgres,
  'roll-back': process.rollBack,
  clock: process.jumpInTime,
  'full-disk': process.fillDisk,
  'file-descriptors': process.useUpDescriptors,
};
