// Import this before suites that are to run only on Memcached.
import { testOnly } from './stores.ts';

testOnly('Memcached');
