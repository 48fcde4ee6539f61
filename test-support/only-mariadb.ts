// Import this before the suites that shall run on MariaDB alone.
import { testOnly } from './stores.ts';

testOnly('MariaDB');
