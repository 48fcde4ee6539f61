// Import this before suites that are to run only on PostgreSQL.
import { testOnly } from './stores.ts';

testOnly('PostgreSQL');
