/**
 * From plans to routes: the destinations that take a plan's lines in the present epoch of the network. What the
 * names of a way have in common becomes one route (route.ts); each of them then needs no more than ids for its
 * points.
 */

import { copyOf } from '../../lib/bytes.ts'
import type { Counter } from '../../lib/stats.ts'
import { isValidPath } from '../../metric/path.ts'
import type { Destination } from '../delivery/destination.ts'
import { viewOf } from '../delivery/copy-bytes.ts'
import { type Gatherer, NameIds } from '../delivery/gatherer.ts'
import type { NameForms } from './name-forms.ts'
import type { Network } from './network.ts'
import { AS_IT_CAME, type Plan, type SendStep } from './plan.ts'
import { type CommonRoute, type Route, type Target, TargetKind, UNNUMBERED } from './route.ts'

const NO_BYTES = new Uint8Array(0)
const NO_NAME = viewOf(NO_BYTES)

export class RouteMaker {
  private readonly network: Network
  /** Points whose name no store would take. */
  private readonly badNames: Counter

  constructor(network: Network, badNames: Counter) {
    this.network = network
    this.badNames = badNames
  }

  /** A route that no other name has; `raw` is the name as it came. */
  own(plan: Plan, raw: Uint8Array): Route {
    for (;;) {
      const route = this.route(plan, false, (step, destination) =>
        this.ownTarget(step, destination, raw),
      )
      // A table of names that was full has been given up meanwhile, with the ids that this route has of it.
      if (route.epoch === this.network.epoch) return route
    }
  }

  /**
   * The route of all names of a way, of which `raw` is one as it came and `plan` its plan; undefined when another
   * of them may have to go by another one.
   */
  common(plan: Plan, raw: Uint8Array): CommonRoute | undefined {
    const { network } = this
    for (const step of plan.steps) {
      if (step.kind === 'send' && network.spreads(step.cluster)) return undefined
    }
    const points: CommonRoute['points'][number][] = []
    const times = new Map<Gatherer, number>()
    let allMay = true
    const route = this.route(plan, true, ({ name, form }, { gatherer, takesPoints, prefix }) => {
      if (prefix !== undefined) allMay = false
      const isForm = form !== AS_IT_CAME
      const front = isForm ? NO_BYTES : copyOf(name.subarray(0, name.length - raw.length))
      if (takesPoints) {
        const nth = times.get(gatherer) ?? 0
        times.set(gatherer, nth + 1)
        const ids = gatherer.idsOf(nth)
        points.push({ gatherer, ids, front, form })
        return { kind: TargetKind.point, gatherer, name: NO_NAME, form, ids }
      }
      const kind = front.length === 0 ? TargetKind.line : TargetKind.extended
      return {
        kind: isForm ? TargetKind.rewritten : kind,
        gatherer,
        name: viewOf(front),
        form,
        ids: undefined,
      }
    })
    return allMay ? { route, points, byOutputs: new Map() } : undefined
  }

  /**
   * Gives a name, `bytes[start, end)` with its forms, the ids that it needs for the common route; false when it
   * cannot go by it: no store would take it, or a full table of names began a new epoch.
   */
  define(
    { points, route }: CommonRoute,
    bytes: Uint8Array,
    start: number,
    end: number,
    forms: NameForms,
    number: number,
  ): boolean {
    for (let i = 0; i < points.length; i++) {
      const { gatherer, ids, front, form } = points[i]!
      const name = form === AS_IT_CAME ? joined(front, bytes, start, end) : forms.name(form)
      if (!isValidPath(name)) return false
      this.give(gatherer, ids, number, name)
    }
    return route.epoch === this.network.epoch
  }

  private route(
    plan: Plan,
    isCommon: boolean,
    target: (step: SendStep, destination: Destination) => Target | undefined,
  ): Route {
    const { network } = this
    const { epoch } = network
    const { steps, sends, blackholed } = plan
    const stepTargets = steps.map((step) => {
      if (step.kind !== 'send') return []
      const targets = network.takers(step).map((destination) => target(step, destination))
      return targets.filter((one) => one !== undefined)
    })
    if (!sends || blackholed) {
      const program = { steps, targets: stepTargets }
      const onlyPoints = sends !== undefined
      const none = { targets: undefined, point: undefined }
      return { epoch, isCommon, ...none, onlyPoints, blackholed, program }
    }
    const targets = stepTargets.flat()
    const onlyPoints = targets.every(({ kind }) => kind === TargetKind.point)
    const point = onlyPoints && targets.length === 1 ? targets[0] : undefined
    return { epoch, isCommon, targets, onlyPoints, point, blackholed, program: undefined }
  }

  private ownTarget(
    { name }: SendStep,
    { gatherer, takesPoints, prefix }: Destination,
    raw: Uint8Array,
  ): Target | undefined {
    const line = { gatherer, name: viewOf(name), form: AS_IT_CAME, ids: undefined }
    if (prefix !== undefined) return { ...line, kind: TargetKind.prefixed }
    if (!takesPoints) {
      return { ...line, kind: name === raw ? TargetKind.line : TargetKind.renamed }
    }
    if (!isValidPath(name)) {
      this.badNames.value++
      return undefined
    }
    const ids = new NameIds()
    this.give(gatherer, ids, UNNUMBERED, name)
    return { ...line, kind: TargetKind.point, name: NO_NAME, ids }
  }

  private give(gatherer: Gatherer, ids: NameIds, number: number, name: Uint8Array): void {
    const { names } = gatherer
    gatherer.define(ids, number, name)
    if (gatherer.names !== names) this.network.beginEpoch()
  }
}

function joined(front: Uint8Array, bytes: Uint8Array, start: number, end: number): Uint8Array {
  const name = new Uint8Array(front.length + end - start)
  name.set(front)
  for (let i = start, at = front.length; i < end; i++, at++) name[at] = bytes[i]!
  return name
}
