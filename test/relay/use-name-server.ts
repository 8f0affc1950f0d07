/** Preloaded into a relay: it asks the test's name server. */
import { setServers } from 'node:dns'

setServers([process.env['TEST_NAME_SERVER']!])
