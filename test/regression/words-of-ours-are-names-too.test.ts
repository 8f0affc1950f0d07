/**
 * `auto`, `emon` and `unix` mean something behind `type` and `proto`; a cluster or a host of a carbon-c-relay.conf that
 * was called so was refused.
 */
import { expect, test } from 'bun:test'
import { realDisk } from '../../src/lib/disk.ts'
import { parseRelayText } from '../../src/relay/config/relay-conf.ts'

test.each(['auto', 'emon', 'unix'])('a cluster and a host may be called %s', (name) => {
  const conf = `cluster ${name} forward ${name} ${name}:1 proto udp /run/x proto unix type emon;
    match ${name} send to ${name};`
  const parsed = parseRelayText(realDisk, conf, 'relay.conf')
  if (!parsed.ok) throw new Error(parsed.error)
  const [cluster] = parsed.value.clusters
  expect(cluster!.name).toBe(name)
  expect(cluster!.members.map(({ address }) => address)).toEqual([name, name, '/run/x'])
  expect(cluster!.members[2]).toMatchObject({ protocol: 'unix', type: 'emon' })
})
