import Platform

extension Weights {
  /// Random weights as torchvision's `DenseNet` starts with them: convolutions normal with deviation √(2/fan-in) (He et al.,
  /// ICCV 2015), batch norms the identity, the classifier uniform within ±1/√fan-in with zero bias.
  public init(initializing architecture: DenseNetArchitecture, seed: UInt64) {
    let layout = ParameterLayout(architecture)
    self.init(layout: layout, values: [Float](repeating: 0, count: layout.count))
    for (index, parameter) in layout.parameters.enumerated() {
      var random = CounterRandom(seed: seed, purpose: .weightInitialization, sample: index)
      self[parameter] = parameter.initialValues(&random)
    }
  }

  /// Gives the classifier new random weights and zero biases; the rest stays.
  public mutating func reinitializeHead(seed: UInt64) {
    for parameter in layout.parameters where parameter.isHead { self[parameter] = parameter.newHeadValues(seed: seed) }
  }
}

extension Parameter {
  /// Whether it is the classifier's.
  public var isHead: Bool { role == .classifierWeight || role == .classifierBias }

  /// What a new classifier starts with.
  public func newHeadValues(seed: UInt64) -> [Float] {
    precondition(isHead)
    var random = CounterRandom(seed: seed, purpose: .headInitialization)
    return initialValues(&random)
  }

  fileprivate func initialValues(_ random: inout CounterRandom) -> [Float] {
    switch role {
    case .convolutionWeight:
      let fanIn = shape.count / shape[0]
      let deviation = (2 / Double(fanIn)).squareRoot()
      return range.map { _ in Float(deviation * random.normal()) }
    case .classifierWeight:
      let bound = 1 / Double(shape[1]).squareRoot()
      return range.map { _ in Float(random.uniform(-bound, bound)) }
    case .normalizationScale, .runningVariance: return [Float](repeating: 1, count: range.count)
    case .normalizationShift, .runningMean, .classifierBias: return [Float](repeating: 0, count: range.count)
    }
  }
}
