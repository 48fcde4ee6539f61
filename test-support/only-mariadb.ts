// Import this before suites that are to run only on MariaDB.
import { testOnly } from './stores.ts';

testOnly('MariaDB');
