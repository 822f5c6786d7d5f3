import Tensors

/// One tensor of the network: torchvision's name for it, its shape, and where it stands in the flat buffer.
public struct Parameter: Equatable, Sendable {
  public enum Role: Equatable, Sendable {
    /// Weights of a convolution: `[K, C, R, S]`.
    case convolutionWeight
    /// γ of a batch norm: `[C]`.
    case normalizationScale
    /// β of a batch norm: `[C]`.
    case normalizationShift
    /// The running mean of a batch norm: `[C]`. Not trained.
    case runningMean
    /// The running, unbiased variance of a batch norm: `[C]`. Not trained.
    case runningVariance
    /// Weights of the classifier: `[L, C]`.
    case classifierWeight
    /// Biases of the classifier: `[L]`.
    case classifierBias
  }

  public let name: String
  public let shape: Shape
  public let role: Role
  /// Its elements in the flat buffer, in C order.
  public let range: Range<Int>

  /// Whether gradients are taken for it.
  public var isTrained: Bool { role != .runningMean && role != .runningVariance }
}

/// Where a convolution's weights stand.
public struct ConvolutionParameters: Equatable, Sendable {
  public let weight: Range<Int>
}

/// Where the four vectors of a batch norm stand.
public struct NormalizationParameters: Equatable, Sendable {
  public let scale: Range<Int>
  public let shift: Range<Int>
  public let runningMean: Range<Int>
  public let runningVariance: Range<Int>
}
