import Tensors

/// The extents of one image's feature maps: C channels of H rows and W columns.
public struct FeatureShape: Equatable, Sendable, CustomStringConvertible {
  public var channels: Int
  public var height: Int
  public var width: Int

  public init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// H · W.
  public var area: Int { height * width }
  /// C · H · W.
  public var count: Int { channels * area }

  public var description: String { "\(channels)×\(height)×\(width)" }
}

/// One of the five things that a DenseNet does, with the parameters that it does them with.
///
/// These are the semantic operations: what is computed, not how. A backend may interpret them as the textbook has them, or
/// expand them to fused ones.
public enum Operation: Equatable, Sendable {
  case stem(Stem)
  case denseLayer(DenseLayer)
  case transition(Transition)
  case head(Head)
  case loss(Loss)
}

/// Convolution 7×7 of stride 2, batch norm, ReLU, max pool 3×3 of stride 2.
public struct Stem: Equatable, Sendable {
  public let convolution: ConvolutionParameters
  public let normalization: NormalizationParameters
  public let image: FeatureShape
  /// Behind the convolution.
  public let convolved: FeatureShape
  public let output: FeatureShape
}

/// Batch norm, ReLU, convolution 1×1 to the bottleneck, batch norm, ReLU, convolution 3×3 to `growth` channels, which are
/// joined behind the input's.
public struct DenseLayer: Equatable, Sendable {
  /// From 0.
  public let block: Int
  /// From 0.
  public let layer: Int
  public let normalization1: NormalizationParameters
  public let convolution1: ConvolutionParameters
  public let normalization2: NormalizationParameters
  public let convolution2: ConvolutionParameters
  public let input: FeatureShape
  public let bottleneck: FeatureShape
  /// Input and new channels, joined.
  public let output: FeatureShape
}

/// Batch norm, ReLU, convolution 1×1 to half the channels, average pool 2×2 of stride 2 (an odd last row or column is left out).
public struct Transition: Equatable, Sendable {
  /// The block in front of it, from 0.
  public let block: Int
  public let normalization: NormalizationParameters
  public let convolution: ConvolutionParameters
  public let input: FeatureShape
  public let output: FeatureShape
}

/// Batch norm, ReLU where the network has one, the feature map; its mean over H and W; the linear classifier.
public struct Head: Equatable, Sendable {
  public let normalization: NormalizationParameters
  public let hasReLU: Bool
  /// `[L, C]`.
  public let classifierWeight: Range<Int>
  /// `[L]`.
  public let classifierBias: Range<Int>
  public let input: FeatureShape
  public let classCount: Int
}

/// Binary cross entropy with logits over the known labels.
public struct Loss: Equatable, Sendable {
  public let classCount: Int
}
