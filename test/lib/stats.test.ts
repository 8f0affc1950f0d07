import { describe, expect, test } from 'bun:test'
import { Stats } from '../../src/lib/stats.ts'

describe('Stats', () => {
  const stats = new Stats()
  stats.counter('dropped.value').value += 3
  stats.gauge('queue', () => 7)

  test('prints plaintext lines, sorted', () => {
    expect(stats.graphiteLines('carbon.agents.h', 60)).toBe(
      'carbon.agents.h.dropped.value 3 60\ncarbon.agents.h.queue 7 60\n',
    )
  })

  test('prints Prometheus text', () => {
    expect(stats.prometheusText('store')).toBe(
      '# TYPE emon_store_dropped_value_total counter\nemon_store_dropped_value_total 3\n' +
        '# TYPE emon_store_queue gauge\nemon_store_queue 7\n',
    )
  })

  test('prints a counter that is kept elsewhere as one', () => {
    const others = new Stats()
    others.total('destinations.a.busy', () => 5)
    expect(others.prometheusText('relay')).toBe(
      '# TYPE emon_relay_destinations_a_busy_total counter\nemon_relay_destinations_a_busy_total 5\n',
    )
  })

  test('prints what each of a group has as one family, whatever they are called', () => {
    const others = new Stats()
    others.labelGroup('destinations', 'destination')
    for (const which of ['a.b', 'a-b', 'a"\\']) {
      others.gauge(`destinations.${which}.queued`, () => 1)
      others.total(`destinations.${which}.sent`, () => 2)
    }
    others.gauge('destinations', () => 3)
    expect(others.prometheusText('relay').split('\n')).toEqual([
      '# TYPE emon_relay_destinations gauge',
      'emon_relay_destinations 3',
      '# TYPE emon_relay_destinations_queued gauge',
      'emon_relay_destinations_queued{destination="a\\"\\\\"} 1',
      'emon_relay_destinations_queued{destination="a-b"} 1',
      'emon_relay_destinations_queued{destination="a.b"} 1',
      '# TYPE emon_relay_destinations_sent_total counter',
      'emon_relay_destinations_sent_total{destination="a\\"\\\\"} 2',
      'emon_relay_destinations_sent_total{destination="a-b"} 2',
      'emon_relay_destinations_sent_total{destination="a.b"} 2',
      '',
    ])
  })

  test('remove() forgets by prefix', () => {
    stats.counter('destinations.a.sent')
    stats.total('destinations.a.busy', () => 5)
    stats.remove('destinations.a.')
    expect(stats.entries().map(({ name }) => name)).toEqual(['dropped.value', 'queue'])
  })
})
