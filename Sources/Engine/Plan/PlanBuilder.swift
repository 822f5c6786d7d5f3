import Tensors

extension Plan {
  /// The plan of `architecture` for batches of `batchSize` images of `height` × `width` pixels.
  ///
  /// Sizes follow PyTorch's: a convolution or pool of kernel k, stride s and padding p makes ⌊(n + 2p − k)/s⌋ + 1 of n.
  /// Throws `imageTooSmall` where nothing would be left of the image somewhere in the network.
  public init(
    _ architecture: DenseNetArchitecture, mode: Mode, batchSize: Int, height: Int, width: Int
  ) throws(BackendError) {
    precondition(batchSize > 0)
    let layout = ParameterLayout(architecture)
    var builder = PlanBuilder(layout: layout, height: height, width: width)
    let image = builder.shape
    var operations = [builder.stem()]
    for block in architecture.blockSizes.indices {
      for layer in 0..<architecture.blockSizes[block] {
        operations.append(builder.denseLayer(block: block, layer: layer))
      }
      if block < architecture.blockSizes.count - 1 { operations.append(builder.transition(block: block)) }
    }
    let features = builder.shape
    guard features.height > 0, features.width > 0 else {
      throw .imageTooSmall(height: height, width: width, architecture: architecture.name)
    }
    operations.append(builder.head())
    if mode == .training { operations.append(.loss(Loss(classCount: architecture.classCount))) }
    self.init(
      layout: layout, mode: mode, batchSize: batchSize, image: image, operations: operations, features: features)
  }
}

/// Walks down the network with the shape that the maps have there.
private struct PlanBuilder {
  let layout: ParameterLayout
  var shape: FeatureShape

  init(layout: ParameterLayout, height: Int, width: Int) {
    self.layout = layout
    shape = FeatureShape(channels: layout.architecture.inputChannels, height: height, width: width)
  }

  mutating func stem() -> Operation {
    let image = shape
    let convolved = FeatureShape(
      channels: layout.architecture.initialFeatures, height: (image.height + 1) / 2, width: (image.width + 1) / 2)
    shape = FeatureShape(
      channels: convolved.channels, height: (convolved.height + 1) / 2, width: (convolved.width + 1) / 2)
    return .stem(
      Stem(
        convolution: layout.convolution("features.conv0"), normalization: layout.normalization("features.norm0"),
        image: image, convolved: convolved, output: shape))
  }

  mutating func denseLayer(block: Int, layer: Int) -> Operation {
    let architecture = layout.architecture
    let name = ParameterLayout.denseLayerName(block: block, layer: layer)
    let input = shape
    var bottleneck = input
    bottleneck.channels = architecture.bottleneckFeatures
    shape.channels += architecture.growthRate
    return .denseLayer(
      DenseLayer(
        block: block, layer: layer, normalization1: layout.normalization(name + ".norm1"),
        convolution1: layout.convolution(name + ".conv1"), normalization2: layout.normalization(name + ".norm2"),
        convolution2: layout.convolution(name + ".conv2"), input: input, bottleneck: bottleneck, output: shape))
  }

  mutating func transition(block: Int) -> Operation {
    let name = ParameterLayout.transitionName(block: block)
    let input = shape
    shape = FeatureShape(channels: input.channels / 2, height: input.height / 2, width: input.width / 2)
    return .transition(
      Transition(
        block: block, normalization: layout.normalization(name + ".norm"),
        convolution: layout.convolution(name + ".conv"), input: input, output: shape))
  }

  func head() -> Operation {
    .head(
      Head(
        normalization: layout.normalization("features.norm5"), hasReLU: layout.architecture.hasFinalReLU,
        classifierWeight: layout.range("classifier.weight"), classifierBias: layout.range("classifier.bias"),
        input: shape, classCount: layout.architecture.classCount))
  }
}
