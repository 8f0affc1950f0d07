import { expect, test } from 'bun:test'
import { reportPrefix } from '../../../src/relay/config/report-prefix.ts'

test.each([
  [undefined, 'web1', 'carbon.relays.web1'],
  [undefined, 'web1.example.org', 'carbon.relays.web1_example_org'],
  ['relays.\\2', 'web1.example.org', 'relays.web1'],
  ['relays.\\_1', 'Web1.example', 'relays.web1.example'],
  ['fixed', 'web1', 'fixed'],
])('the prefix %p on %p is %p', (template, host, want) => {
  expect(reportPrefix(template, host)).toBe(want)
})
