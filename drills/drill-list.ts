import {
  fillDisk,
  jumpInTime,
  rollBack,
  rotateSecret,
  useUpDescriptors,
} from './process-drills.ts';
import type { Drill } from './run-drill.ts';
import {
  failOver,
  restartRedis,
  restorePostgres,
  restoreRedis,
  restoreSqlite,
} from './store-drills.ts';

/** By name: `npm run drill:NAME`. */
export const drills: Record<string, Drill> = {
  'rotate-secret': rotateSecret,
  'redis-restart': restartRedis,
  failover: failOver,
  'restore-redis': restoreRedis,
  'restore-sqlite': restoreSqlite,
  'restore-postgres': restorePostgres,
  'roll-back': rollBack,
  clock: jumpInTime,
  'full-disk': fillDisk,
  'file-descriptors': useUpDescriptors,
};
