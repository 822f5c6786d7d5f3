import CSynapse
import Engine

extension GaudiLowering {
  /// From the logits to the gradients of all trained parameters.
  ///
  /// Of an image and a finding with the loss −w₊·y·log p − w₋·(1 − y)·log(1 − p), p = sigmoid(logit), the gradient of the logit is
  /// (f₊ + f₋)·p − f₊, where f₊ = w₊·y and f₋ = w₋·(1 − y), both times the loss scale, and both 0 where the label is unknown. The factors f₊ + f₋ and f₊ are
  /// sent with the images.
  mutating func backward(_ tape: Tape) {
    var dx = tape.logits
    for (operation, record) in zip(plan.operations, tape.records).reversed() {
      switch (operation, record) {
      case (.head(let head), .head(let normalized)):
        dx = headGradient(head, tape)
        dx = normalizationGradient(normalized, dx, "norm5")
      case (.transition(let transition), .transition(let normalized, let convolved)):
        let name = "transition\(transition.block + 1)"
        dx = single(
          .averagePoolGradient, name + "/pool/gradient", [dx], element, convolved.sizes,
          nodeParameters(Self.averagePool(height: 2, width: 2, stride: 2)))
        dx = convolutionGradient(normalized.output, transition.convolution, dx, kernel: 1, name + "/conv")
        dx = normalizationGradient(normalized, dx, name + "/norm")
      case (.denseLayer(let layer), .denseLayer(let first, let second)):
        let name = "denseblock\(layer.block + 1)/denselayer\(layer.layer + 1)"
        var (old, new) = (layer.input, layer.input)
        new.channels = layer.output.channels - layer.input.channels
        old.channels = layer.input.channels
        let parts = graph.add(
          .split, name + "/split", element, [dx], shapes: [(element, sizes(old)), (element, sizes(new))],
          parameters: nodeParameters(synapse_axis(axis: 0)))
        var back = convolutionGradient(
          second.output, layer.convolution2, parts[1], kernel: 3, padding: 1, name + "/conv2")
        back = normalizationGradient(second, back, name + "/norm2")
        back = convolutionGradient(first.output, layer.convolution1, back, kernel: 1, name + "/conv1")
        back = normalizationGradient(first, back, name + "/norm1")
        dx = single(.sum, name + "/gradient", [parts[0], back], element, sizes(layer.input))
      case (.stem(let stem), .stem(let image, let normalized, let positions)):
        dx = single(
          .maximumPoolGradient, "pool0/gradient", [dx, positions], element, sizes(stem.convolved),
          nodeParameters(Self.stemPool))
        dx = normalizationGradient(normalized, dx, "norm0")
        weightGradient(image, stem.convolution, dx, kernel: 7, stride: 2, padding: 3, "conv0")
      case (.stem, _), (.denseLayer, _), (.transition, _), (.head, _), (.loss, _):
        preconditionFailure("the tape was not recorded by this plan")
      }
    }
  }

  private mutating func headGradient(_ head: Head, _ tape: Tape) -> Value {
    let (channels, labels) = (head.input.channels, head.classCount)
    let both = graph.persistent("factors/both", .float, [labels, count], in: .factors)
    let positive = graph.persistent(
      "factors/positive", .float, [labels, count], in: .factors, at: Self.positiveFactors(labels * count))
    let probability = single(.sigmoid, "probabilities", [tape.logits], .float, [labels, count])
    let scaled = single(.product, "logits/scaled", [both, probability], .float, [labels, count])
    let dlogits = single(.difference, "logits/gradient", [scaled, positive], .float, [labels, count])
    _ = single(
      .reduction, "classifier/bias/gradient", [dlogits], .float, [labels, 1],
      nodeParameters(synapse_reduction(dimension: 1)), into: gradientPlace(head.classifierBias))
    _ = single(
      .matrixProduct, "classifier/weight/gradient", [dlogits, tape.pooled], .float, [channels, labels],
      nodeParameters(synapse_gemm(transposes_first: true, transposes_second: false)),
      into: gradientPlace(head.classifierWeight))
    let pooled = single(
      .matrixProduct, "mean/gradient", [dlogits, tape.classifierWeight], .float, [channels, count],
      nodeParameters(synapse_gemm(transposes_first: false, transposes_second: false)))
    let mean = single(.reshape, "mean/gradient/map", [pooled], .float, [channels, 1, 1, count])
    let dx = single(
      .averagePoolGradient, "maps/gradient", [mean], .float, sizes(head.input),
      nodeParameters(Self.averagePool(height: head.input.height, width: head.input.width, stride: 1)))
    return element == .bf16 ? cast(dx, to: .bf16, "maps/gradient/bf16") : dx
  }

  /// Where the factors of positive labels lie behind those of all, in bytes.
  static func positiveFactors(_ count: Int) -> Int { (4 * count + 255) / 256 * 256 }

  private mutating func normalizationGradient(_ normalized: Normalized, _ dy: Value, _ name: String) -> Value {
    guard let statistics = normalized.statistics else { preconditionFailure("no statistics of a batch") }
    let x = normalized.input
    var dy = dy
    if normalized.isRectified {
      dy = single(.rectifierGradient, name + "/relu/gradient", [dy, normalized.output], element, x.sizes)
    }
    let channels = [x.sizes[0]]
    return graph.add(
      .normalizationGradient, name + "/gradient", element,
      [x, dy, statistics.mean, statistics.inverse, normalized.scale],
      shapes: [(element, x.sizes), (.float, channels), (.float, channels)], parameters: normalizationParameters,
      into: [1: gradientPlace(normalized.parameters.shift), 2: gradientPlace(normalized.parameters.scale)])[0]
  }

  /// The gradient of a convolution's input; that of its weights is written.
  private mutating func convolutionGradient(
    _ x: Value, _ convolution: ConvolutionParameters, _ dy: Value, kernel: Int, padding: Int = 0, _ name: String
  ) -> Value {
    weightGradient(x, convolution, dy, kernel: kernel, stride: 1, padding: padding, name)
    return single(
      .convolutionInputGradient, name + "/gradient", [dy, convolutionWeights(convolution, name)], element, x.sizes,
      nodeParameters(Self.window(kernel, stride: 1, padding: padding)))
  }

  private mutating func weightGradient(
    _ x: Value, _ convolution: ConvolutionParameters, _ dy: Value, kernel: Int, stride: Int, padding: Int,
    _ name: String
  ) {
    let weights = convolutionWeights(convolution, name)
    _ = graph.add(
      .convolutionWeightGradient, name + "/weight/gradient", element, [dy, x], shapes: [(.float, weights.sizes)],
      parameters: nodeParameters(Self.window(kernel, stride: stride, padding: padding)),
      into: [0: gradientPlace(convolution.weight)])
  }
}
