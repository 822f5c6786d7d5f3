import CSynapse
import Engine
import Foundation

/// Graphs over a part of the trained parameters, one value beside the other: sums of gradients, the squares of their norm, an optimizer's step.
///
/// A part is rows of 64 values, the fastest size.
struct GaudiUpdate {
  typealias Value = GaudiGraph.Value

  /// Which steps are the same graph.
  enum Kind: Hashable {
    case sgd, nesterov, adam, adamW

    init(_ optimizer: Optimizer) {
      switch optimizer {
      case .sgd(_, let nesterov): self = nesterov ? .nesterov : .sgd
      case .adam: self = .adam
      case .adamW: self = .adamW
      }
    }
  }

  private let sizes: [Int]
  private var graph: GaudiGraph

  private init(_ name: String, count: Int) {
    sizes = [GaudiLayout.row, count / GaudiLayout.row]
    graph = GaudiGraph(name)
  }

  private mutating func read(_ section: GaudiSection) -> Value {
    graph.persistent(section.rawValue, .float, sizes, in: section)
  }

  private mutating func make(
    _ kind: GaudiNodeKind, _ name: String, _ inputs: [Value], into section: GaudiSection? = nil
  ) -> Value {
    graph.add(
      kind, name, .float, inputs, shapes: [(.float, sizes)], into: section.map { [0: ($0, 0)] } ?? [:])[0]
  }

  // MARK: Gradients

  /// The sum of two gradients.
  static func accumulation(count: Int) -> GaudiGraph {
    var update = Self("accumulation", count: count)
    let (total, more) = (update.read(.total), update.read(.more))
    _ = update.make(.sum, "sum", [total, more], into: .sum)
    return update.graph
  }

  /// Of a gradient's squares, 64 · 256 sums: few enough to be added up in double precision elsewhere, of few enough addends to be right.
  static func squares(count: Int) -> GaudiGraph {
    let rows = [GaudiLayout.row, GaudiLayout.rowsOfSums]
    let sizes = rows + [count / rows.reduce(1, *)]
    var graph = GaudiGraph("squares")
    let gradient = graph.persistent("gradients", .float, sizes, in: .gradients)
    let squares = graph.add(.product, "squares", .float, [gradient, gradient], shapes: [(.float, sizes)])
    _ = graph.add(
      .reduction, "sums", .float, squares, shapes: [(.float, rows + [1])],
      parameters: nodeParameters(synapse_reduction(dimension: 2)), into: [0: (.squares, 0)])
    return graph
  }

  // MARK: Steps

  /// What a step multiplies or adds, in the order of their places.
  enum Scalar: Int, CaseIterable {
    /// Of the gradient, for its norm; λ; of weights that decay by themselves.
    case gradient, decay, shrinkage
    /// SGD: of the velocity, which is 0 in the first step; ahead of it; the learning rate.
    case carried, momentum, rate
    /// Adam: β₁, 1 − β₁, β₂, 1 − β₂, 1/√(1 − β₂ᵗ), ε, the rate over 1 − β₁ᵗ.
    case keptMean, newMean, keptSquare, newSquare, correction, epsilon, step

    /// In bytes: each with an alignment of its own.
    var offset: Int { 256 * rawValue }

    static var bytes: Int { 256 * allCases.count }
  }

  /// The values of a step's scalars. `clip`: what the gradient is multiplied by; `number`: which step of these parameters it is, from 1.
  static func scalars(_ step: OptimizerStep, clip: Double, number: Int) -> [Scalar: Float] {
    var values: [Scalar: Double] = [
      .gradient: clip, .decay: step.weightDecay, .shrinkage: 1 - step.learningRate * step.weightDecay,
    ]
    switch step.optimizer {
    case .sgd(let momentum, _):
      values[.carried] = number == 1 ? 0 : momentum
      values[.momentum] = momentum
      values[.rate] = step.learningRate
    case .adam(let beta1, let beta2, let epsilon), .adamW(let beta1, let beta2, let epsilon):
      (values[.keptMean], values[.newMean]) = (beta1, 1 - beta1)
      (values[.keptSquare], values[.newSquare]) = (beta2, 1 - beta2)
      values[.correction] = 1 / (1 - pow(beta2, Double(number))).squareRoot()
      values[.epsilon] = epsilon
      values[.step] = step.learningRate / (1 - pow(beta1, Double(number)))
    }
    return values.mapValues { Float($0) }
  }

  /// The step of `ReferenceOptimizer`, node by node.
  static func step(_ kind: Kind, count: Int) -> GaudiGraph {
    var update = Self("step", count: count)
    switch kind {
    case .sgd: update.sgd(nesterov: false)
    case .nesterov: update.sgd(nesterov: true)
    case .adam: update.adam(isDecoupled: false)
    case .adamW: update.adam(isDecoupled: true)
    }
    return update.graph
  }

  private mutating func scalar(_ scalar: Scalar) -> Value {
    graph.persistent("scalars/\(scalar)", .float, [1, 1], in: .scalars, at: scalar.offset)
  }

  /// The gradient, scaled; with λ times the weights where they decay by it.
  private mutating func gradient(_ weights: Value, decays: Bool) -> Value {
    let given = read(.gradients)
    let scaled = make(.product, "gradient/scaled", [given, scalar(.gradient)])
    guard decays else { return scaled }
    let decay = make(.product, "decay", [weights, scalar(.decay)])
    return make(.sum, "gradient", [scaled, decay])
  }

  private mutating func sgd(nesterov: Bool) {
    let (weights, velocity) = (read(.weights), read(.first))
    let gradient = gradient(weights, decays: true)
    let carried = make(.product, "velocity/carried", [velocity, scalar(.carried)])
    var direction = make(.sum, "velocity", [carried, gradient], into: .newFirst)
    if nesterov {
      let ahead = make(.product, "velocity/ahead", [direction, scalar(.momentum)])
      direction = make(.sum, "direction", [gradient, ahead])
    }
    let way = make(.product, "way", [direction, scalar(.rate)])
    _ = make(.difference, "weights/new", [weights, way], into: .newWeights)
  }

  private mutating func adam(isDecoupled: Bool) {
    var weights = read(.weights)
    let (first, second) = (read(.first), read(.second))
    let gradient = gradient(weights, decays: !isDecoupled)
    if isDecoupled { weights = make(.product, "weights/shrunk", [weights, scalar(.shrinkage)]) }
    let keptMean = make(.product, "mean/kept", [first, scalar(.keptMean)])
    let newMean = make(.product, "mean/added", [gradient, scalar(.newMean)])
    let mean = make(.sum, "mean", [keptMean, newMean], into: .newFirst)
    let squares = make(.product, "squares", [gradient, gradient])
    let keptSquare = make(.product, "square/kept", [second, scalar(.keptSquare)])
    let newSquare = make(.product, "square/added", [squares, scalar(.newSquare)])
    let square = make(.sum, "square", [keptSquare, newSquare], into: .newSecond)
    let root = make(.squareRoot, "root", [square])
    let corrected = make(.product, "root/corrected", [root, scalar(.correction)])
    let denominator = make(.sum, "denominator", [corrected, scalar(.epsilon)])
    let quotient = make(.quotient, "quotient", [mean, denominator])
    let way = make(.product, "way", [quotient, scalar(.step)])
    _ = make(.difference, "weights/new", [weights, way], into: .newWeights)
  }
}
