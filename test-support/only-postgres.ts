// Import this before the suites that shall run on PostgreSQL alone.
import { testOnly } from './stores.ts';

testOnly('PostgreSQL');
