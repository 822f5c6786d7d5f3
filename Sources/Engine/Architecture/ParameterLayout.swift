import Tensors

/// Maps torchvision's names to shapes and ranges of one flat buffer.
///
/// Invariant: the trained parameters come first, in torchvision's order (the classifier's last), without gaps, in `0 ..< trainedCount`; the running
/// statistics follow, to `count`. So an optimizer step, a gradient sum or a check is one pass over one range.
public struct ParameterLayout: Equatable, Sendable {
  public let architecture: DenseNetArchitecture
  /// In torchvision's order (`state_dict()` without `num_batches_tracked`).
  public let parameters: [Parameter]
  /// Elements that are trained.
  public let trainedCount: Int
  /// Elements in all.
  public let count: Int

  private let indices: [String: Int]

  public init(_ architecture: DenseNetArchitecture) {
    var declared: [(name: String, shape: Shape, role: Parameter.Role)] = []

    func normalization(_ name: String, _ channels: Int) {
      declared.append((name + ".weight", [channels], .normalizationScale))
      declared.append((name + ".bias", [channels], .normalizationShift))
      declared.append((name + ".running_mean", [channels], .runningMean))
      declared.append((name + ".running_var", [channels], .runningVariance))
    }

    func convolution(_ name: String, from input: Int, to output: Int, kernel: Int) {
      declared.append((name + ".weight", [output, input, kernel, kernel], .convolutionWeight))
    }

    let stem = architecture.initialFeatures
    convolution("features.conv0", from: architecture.inputChannels, to: stem, kernel: 7)
    normalization("features.norm0", stem)
    for block in architecture.blockSizes.indices {
      for layer in 0..<architecture.blockSizes[block] {
        let name = Self.denseLayerName(block: block, layer: layer)
        let input = architecture.inputFeatures(ofLayer: layer, inBlock: block)
        normalization(name + ".norm1", input)
        convolution(name + ".conv1", from: input, to: architecture.bottleneckFeatures, kernel: 1)
        normalization(name + ".norm2", architecture.bottleneckFeatures)
        convolution(name + ".conv2", from: architecture.bottleneckFeatures, to: architecture.growthRate, kernel: 3)
      }
      if block < architecture.blockSizes.count - 1 {
        let name = Self.transitionName(block: block)
        let input = architecture.outputFeatures(ofBlock: block)
        normalization(name + ".norm", input)
        convolution(name + ".conv", from: input, to: input / 2, kernel: 1)
      }
    }
    normalization("features.norm5", architecture.featureCount)
    declared.append(("classifier.weight", [architecture.classCount, architecture.featureCount], .classifierWeight))
    declared.append(("classifier.bias", [architecture.classCount], .classifierBias))

    func isStatistic(_ role: Parameter.Role) -> Bool { role == .runningMean || role == .runningVariance }
    let trainedCount = declared.reduce(0) { isStatistic($1.role) ? $0 : $0 + $1.shape.count }
    var nextTrained = 0
    var nextStatistic = trainedCount
    parameters = declared.map { name, shape, role in
      let start = isStatistic(role) ? nextStatistic : nextTrained
      if isStatistic(role) { nextStatistic += shape.count } else { nextTrained += shape.count }
      return Parameter(name: name, shape: shape, role: role, range: start..<start + shape.count)
    }
    self.architecture = architecture
    self.trainedCount = trainedCount
    count = nextStatistic
    indices = Dictionary(uniqueKeysWithValues: parameters.enumerated().map { ($1.name, $0) })
  }

  /// The classifier's weights and biases: the last of the trained parameters.
  public var classifier: Range<Int> { range("classifier.weight").lowerBound..<trainedCount }

  /// The parameter of that name, if the network has it.
  public subscript(name: String) -> Parameter? { indices[name].map { parameters[$0] } }

  /// `features.denseblock1.denselayer1`: torchvision counts blocks and layers from 1, we from 0.
  static func denseLayerName(block: Int, layer: Int) -> String {
    "features.denseblock\(block + 1).denselayer\(layer + 1)"
  }

  /// `features.transition1`, behind block 0.
  static func transitionName(block: Int) -> String { "features.transition\(block + 1)" }

  func convolution(_ name: String) -> ConvolutionParameters { ConvolutionParameters(weight: range(name + ".weight")) }

  func normalization(_ name: String) -> NormalizationParameters {
    NormalizationParameters(
      scale: range(name + ".weight"), shift: range(name + ".bias"), runningMean: range(name + ".running_mean"),
      runningVariance: range(name + ".running_var"))
  }

  func range(_ name: String) -> Range<Int> {
    guard let parameter = self[name] else { preconditionFailure("the network has no parameter \(name)") }
    return parameter.range
  }

  public static func == (left: ParameterLayout, right: ParameterLayout) -> Bool {
    left.architecture == right.architecture
  }
}
