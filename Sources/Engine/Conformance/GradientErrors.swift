import Platform

extension Conformance {
  /// How far a parameter's gradient is from the textbook's in Double, in the 2-norm.
  public struct GradientError: Sendable {
    /// Its name, such as `features.denseblock1.denselayer1.conv1.weight`.
    public let parameter: String
    /// Relative to the parameter's own gradient.
    public let own: Double
    /// Relative to the whole network's.
    public let whole: Double
  }

  /// A step of training `architecture` on `count` images of noise, `size` × `size`.
  public static func trainingCase(_ architecture: DenseNetArchitecture, size: Int, count: Int) -> ConformanceCase {
    ConformanceCase(architecture: architecture, height: size, width: size, count: count, mode: .training)
  }

  /// The gradients of the case's step on `backend`, parameter by parameter in the network's order.
  public static func gradientErrors(
    of backend: some Backend, from expected: Expectation
  ) throws(BackendError) -> [GradientError] {
    let session = try backend.makeSession(expected.plan)
    try session.load(expected.weights)
    _ = try session.accumulateGradients(
      expected.images, labels: expected.conformanceCase.labels, weights: nil, lossScale: Expectation.lossScale)
    let (found, wholeSize) = (try gradients(of: session), norm(expected.gradients[...]))
    return expected.plan.layout.parameters.filter(\.isTrained).map { parameter in
      let theirs = expected.gradients[parameter.range]
      let error = distance(found[parameter.range], theirs)
      return GradientError(parameter: parameter.name, own: error / norm(theirs), whole: error / wholeSize)
    }
  }
}
