import Engine

/// Where a network looked for one finding: CAM(i, j) = Σ_k W[c, k] · F_k(i, j), with F the classifier's feature maps behind
/// their ReLU (or without one, where the network has none).
///
/// Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, section 2. Because the classifier sees the
/// mean of each F_k, mean(CAM) + bias is the logit: the identity that `isConsistent` checks.
public struct ClassActivationMap: Equatable, Sendable {
  public let height: Int
  public let width: Int
  /// `[height, width]`, without the bias.
  public let values: [Float]
  /// The classifier's bias of this finding.
  public let bias: Float
  /// The network's own logit of this finding.
  public let logit: Float

  /// The map of class `index` for one image.
  ///
  /// - Parameters:
  ///   - features: `[C, H, W]` of the image.
  ///   - shape: C, H and W.
  public init(features: ArraySlice<Float>, shape: FeatureShape, weights: Weights, index: Int, logit: Float) {
    precondition(features.count == shape.count)
    guard let weight = weights.layout["classifier.weight"], let bias = weights.layout["classifier.bias"] else {
      preconditionFailure("every network has a classifier")
    }
    let row = weight.range.lowerBound + index * shape.channels
    var sums = [Double](repeating: 0, count: shape.area)
    features.withUnsafeBufferPointer { features in
      for channel in 0..<shape.channels {
        let factor = Double(weights.values[row + channel])
        let plane = UnsafeBufferPointer(rebasing: features[channel * shape.area..<(channel + 1) * shape.area])
        for position in 0..<shape.area { sums[position] += factor * Double(plane[position]) }
      }
    }
    self.init(
      height: shape.height, width: shape.width, values: sums.map { Float($0) },
      bias: weights.values[bias.range.lowerBound + index], logit: logit)
  }

  public init(height: Int, width: Int, values: [Float], bias: Float, logit: Float) {
    precondition(values.count == height * width)
    self.height = height
    self.width = width
    self.values = values
    self.bias = bias
    self.logit = logit
  }

  /// |mean(CAM) + bias − logit|.
  public var discrepancy: Double {
    let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
    return abs(mean + Double(bias) - Double(logit))
  }

  /// Whether the map and the logit are of one network: a discrepancy of at most 10⁻³ · (1 + |logit|).
  ///
  /// Both sum the same C·H·W products (about 5·10⁴) in Float or better; rounding leaves 10⁻⁵ of the logit at worst.
  public var isConsistent: Bool { discrepancy <= 1e-3 * (1 + abs(Double(logit))) }

  public var minimum: Float { values.min() ?? 0 }
  public var maximum: Float { values.max() ?? 0 }

  /// Row and column of the first of the largest cells.
  public var peak: (row: Int, column: Int) {
    let index = values.indices.max { values[$0] < values[$1] || (values[$0] == values[$1] && $0 > $1) } ?? 0
    return (index / width, index % width)
  }
}
