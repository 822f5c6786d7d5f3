import Platform

extension Weights {
  /// Random weights as torchvision's `DenseNet` starts with them: convolutions normal with deviation √(2/fan-in) (He et al.,
  /// ICCV 2015), batch norms the identity, the classifier uniform within ±1/√fan-in with zero bias.
  public init(initializing architecture: DenseNetArchitecture, seed: UInt64) {
    let layout = ParameterLayout(architecture)
    self.init(layout: layout, values: [Float](repeating: 0, count: layout.count))
    for (index, parameter) in layout.parameters.enumerated() {
      var random = CounterRandom(seed: seed, purpose: .weightInitialization, sample: index)
      initialize(parameter, &random)
    }
  }

  /// Gives the classifier new random weights and zero biases; the rest stays.
  public mutating func reinitializeHead(seed: UInt64) {
    var random = CounterRandom(seed: seed, purpose: .headInitialization)
    for parameter in layout.parameters where parameter.role == .classifierWeight || parameter.role == .classifierBias {
      initialize(parameter, &random)
    }
  }

  private mutating func initialize(_ parameter: Parameter, _ random: inout CounterRandom) {
    switch parameter.role {
    case .convolutionWeight:
      let fanIn = parameter.shape.count / parameter.shape[0]
      let deviation = (2 / Double(fanIn)).squareRoot()
      for index in parameter.range { values[index] = Float(deviation * random.normal()) }
    case .classifierWeight:
      let bound = 1 / Double(parameter.shape[1]).squareRoot()
      for index in parameter.range { values[index] = Float(random.uniform(-bound, bound)) }
    case .normalizationScale, .runningVariance:
      for index in parameter.range { values[index] = 1 }
    case .normalizationShift, .runningMean, .classifierBias:
      for index in parameter.range { values[index] = 0 }
    }
  }
}
