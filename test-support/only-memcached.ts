// Import this before the suites that shall run on Memcached alone.
import { testOnly } from './stores.ts';

testOnly('Memcached');
