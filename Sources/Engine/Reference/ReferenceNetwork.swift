import Platform

/// The network as the textbook has it: one operation after the other, each with its own output, and back the same way.
///
/// It shares none of the fused engines' ideas (no shared statistics, no deferred batch norm, no pooling in front of the
/// convolution), so that it can refute them.
struct ReferenceNetwork<Scalar: ReferenceScalar> {
  let plan: Plan
  let pool: ThreadPool
  /// The flat buffer of the plan's layout.
  var values: [Scalar]
  /// Whose images together are a batch to batch norm.
  var collective: any Collective = SoleRank()

  private static var stemConvolution: ReferenceConvolution { .init(kernel: 7, stride: 2, padding: 3) }
  private static var pointwise: ReferenceConvolution { .init(kernel: 1, stride: 1, padding: 0) }
  private static var growth: ReferenceConvolution { .init(kernel: 3, stride: 1, padding: 1) }

  /// What a forward pass leaves behind for the way back, and for those who want to look.
  struct Tape {
    var records: [Record] = []
    /// The classifier's feature maps.
    var features = FeatureMaps<Scalar>(count: 0, shape: FeatureShape(channels: 0, height: 0, width: 0))
    /// `[N, C]`.
    var pooled: [Scalar] = []
    /// `[N, L]`.
    var logits: [Scalar] = []
  }

  /// What one operation leaves behind.
  enum Record {
    case stem(image: FeatureMaps<Scalar>, normalized: Normalized, pooled: FeatureMaps<Scalar>, sources: [Int32])
    case denseLayer(first: Normalized, second: Normalized, output: FeatureMaps<Scalar>)
    case transition(Normalized, convolved: FeatureShape, output: FeatureMaps<Scalar>)
    case head(Normalized)
  }

  /// A batch norm's input, statistics, and output behind its ReLU (or without one, where the network has none).
  struct Normalized {
    let input: FeatureMaps<Scalar>
    let statistics: ReferenceNormalization<Scalar>
    let output: FeatureMaps<Scalar>
  }

  /// Runs the network. In training mode the running statistics are updated.
  mutating func forward(_ images: FeatureMaps<Scalar>) throws(BackendError) -> Tape {
    var tape = Tape()
    var x = images
    for operation in plan.operations {
      switch operation {
      case .stem(let stem):
        let convolved = Self.stemConvolution.forward(
          x, weights: values[stem.convolution.weight], output: stem.convolved, pool: pool)
        let normalized = try normalize(convolved, stem.normalization, rectifying: true)
        let (pooled, sources) = ReferenceMaxPool.forward(normalized.output, output: stem.output, pool: pool)
        record(.stem(image: x, normalized: normalized, pooled: pooled, sources: sources), on: &tape)
        x = pooled
      case .denseLayer(let layer):
        let first = try normalize(x, layer.normalization1, rectifying: true)
        let bottleneck = Self.pointwise.forward(
          first.output, weights: values[layer.convolution1.weight], output: layer.bottleneck, pool: pool)
        let second = try normalize(bottleneck, layer.normalization2, rectifying: true)
        var shape = layer.bottleneck
        shape.channels = layer.output.channels - layer.input.channels
        let new = Self.growth.forward(
          second.output, weights: values[layer.convolution2.weight], output: shape, pool: pool)
        x = x.joined(with: new)
        record(.denseLayer(first: first, second: second, output: x), on: &tape)
      case .transition(let transition):
        let normalized = try normalize(x, transition.normalization, rectifying: true)
        var shape = transition.input
        shape.channels = transition.output.channels
        let convolved = Self.pointwise.forward(
          normalized.output, weights: values[transition.convolution.weight], output: shape, pool: pool)
        x = ReferenceAveragePool.forward(convolved, output: transition.output)
        record(.transition(normalized, convolved: shape, output: x), on: &tape)
      case .head(let head):
        let normalized = try normalize(x, head.normalization, rectifying: head.hasReLU)
        tape.features = normalized.output
        tape.pooled = ReferenceGlobalAverage.forward(normalized.output)
        tape.logits = classify(tape.pooled, head)
        record(.head(normalized), on: &tape)
      case .loss:
        break
      }
    }
    return tape
  }

  /// Adds the gradients of the trained parameters to `gradients`, from those of the logits, `[N, L]`; returns the images',
  /// where they are wanted: no parameter needs them.
  func backward(
    _ tape: Tape, logitGradients: [Scalar], into gradients: inout [Scalar], wantsImageGradients: Bool
  ) throws(BackendError) -> FeatureMaps<Scalar>? {
    var dx = FeatureMaps<Scalar>(count: 0, shape: plan.image)
    let passed = plan.operations.filter { if case .loss = $0 { false } else { true } }
    precondition(passed.count == tape.records.count)
    for (operation, record) in zip(passed, tape.records).reversed() {
      switch (operation, record) {
      case (.head(let head), .head(let normalized)):
        let pooledGradients = classifierGradients(tape.pooled, logitGradients, head, &gradients)
        dx = ReferenceGlobalAverage.backward(
          pooledGradients, count: normalized.input.count, input: normalized.input.shape)
        dx = try normalizationGradient(normalized, head.normalization, rectified: head.hasReLU, dx, &gradients)
      case (.transition(let transition), .transition(let normalized, let convolved, _)):
        dx = ReferenceAveragePool.backward(dx, input: convolved)
        dx = convolutionGradient(Self.pointwise, normalized.output, transition.convolution, dx, &gradients)
        dx = try normalizationGradient(normalized, transition.normalization, rectified: true, dx, &gradients)
      case (.denseLayer(let layer), .denseLayer(let first, let second, _)):
        var (old, new) = dx.split(at: layer.input.channels)
        new = convolutionGradient(Self.growth, second.output, layer.convolution2, new, &gradients)
        new = try normalizationGradient(second, layer.normalization2, rectified: true, new, &gradients)
        new = convolutionGradient(Self.pointwise, first.output, layer.convolution1, new, &gradients)
        new = try normalizationGradient(first, layer.normalization1, rectified: true, new, &gradients)
        old.add(new, pool: pool)
        dx = old
      case (.stem(let stem), .stem(let image, let normalized, _, let sources)):
        dx = ReferenceMaxPool.backward(dx, sources: sources, input: stem.convolved)
        dx = try normalizationGradient(normalized, stem.normalization, rectified: true, dx, &gradients)
        Self.stemConvolution.accumulateWeightGradient(
          image, outputGradient: dx, into: &gradients, at: stem.convolution.weight, pool: pool)
        guard wantsImageGradients else { return nil }
        dx = Self.stemConvolution.inputGradient(
          dx, weights: values[stem.convolution.weight], input: image.shape, pool: pool)
      case (.stem, _), (.denseLayer, _), (.transition, _), (.head, _), (.loss, _):
        preconditionFailure("the tape was not recorded by this plan")
      }
    }
    return dx
  }

  /// Inference keeps nothing for a way back.
  private func record(_ record: Record, on tape: inout Tape) {
    if plan.mode == .training { tape.records.append(record) }
  }

  private mutating func normalize(
    _ x: FeatureMaps<Scalar>, _ parameters: NormalizationParameters, rectifying: Bool
  ) throws(BackendError) -> Normalized {
    let epsilon = Scalar(plan.architecture.batchNormEpsilon)
    let statistics: ReferenceNormalization<Scalar>
    switch plan.mode {
    case .inference:
      statistics = ReferenceNormalization(
        mean: values[parameters.runningMean], variance: values[parameters.runningVariance], epsilon: epsilon)
    case .training:
      statistics = try ReferenceNormalization(batch: x, epsilon: epsilon, pool: pool, over: collective)
      updateRunningStatistics(parameters, by: statistics)
    }
    let normalized = statistics.forward(x, scale: values[parameters.scale], shift: values[parameters.shift], pool: pool)
    return Normalized(
      input: x, statistics: statistics, output: rectifying ? normalized.rectified(pool: pool) : normalized)
  }

  /// running ← (1 − momentum) · running + momentum · batch; the variance enters unbiased, ·m/(m − 1), as in PyTorch.
  private mutating func updateRunningStatistics(
    _ parameters: NormalizationParameters, by statistics: ReferenceNormalization<Scalar>
  ) {
    let momentum = Scalar(plan.architecture.batchNormMomentum)
    let unbiased = Scalar(statistics.size) / Scalar(max(statistics.size - 1, 1))
    for channel in statistics.mean.indices {
      let mean = parameters.runningMean.lowerBound + channel
      let variance = parameters.runningVariance.lowerBound + channel
      values[mean] = (1 - momentum) * values[mean] + momentum * statistics.mean[channel]
      values[variance] =
        (1 - momentum) * values[variance] + momentum * statistics.biasedVariance[channel] * unbiased
    }
  }

  /// logits = pooled [N, C] × weightsᵀ [C, L] + bias. Each image by itself, in a fixed order.
  private func classify(_ pooled: [Scalar], _ head: Head) -> [Scalar] {
    let channels = head.input.channels
    var logits: [Scalar] = []
    for image in 0..<pooled.count / channels {
      for label in 0..<head.classCount {
        var sum: Scalar = 0
        let row = head.classifierWeight.lowerBound + label * channels
        for channel in 0..<channels { sum += values[row + channel] * pooled[image * channels + channel] }
        logits.append(sum + values[head.classifierBias.lowerBound + label])
      }
    }
    return logits
  }

  private func classifierGradients(
    _ pooled: [Scalar], _ logitGradients: [Scalar], _ head: Head, _ gradients: inout [Scalar]
  ) -> [Scalar] {
    let channels = head.input.channels
    var pooledGradients = [Scalar](repeating: 0, count: pooled.count)
    for image in 0..<pooled.count / channels {
      for label in 0..<head.classCount {
        let gradient = logitGradients[image * head.classCount + label]
        let row = label * channels
        gradients[head.classifierBias.lowerBound + label] += gradient
        for channel in 0..<channels {
          let weight = head.classifierWeight.lowerBound + row + channel
          gradients[weight] += gradient * pooled[image * channels + channel]
          pooledGradients[image * channels + channel] += gradient * values[weight]
        }
      }
    }
    return pooledGradients
  }

  private func convolutionGradient(
    _ convolution: ReferenceConvolution, _ input: FeatureMaps<Scalar>, _ parameters: ConvolutionParameters,
    _ dy: FeatureMaps<Scalar>, _ gradients: inout [Scalar]
  ) -> FeatureMaps<Scalar> {
    convolution.accumulateWeightGradient(
      input, outputGradient: dy, into: &gradients, at: parameters.weight, pool: pool)
    return convolution.inputGradient(dy, weights: values[parameters.weight], input: input.shape, pool: pool)
  }

  private func normalizationGradient(
    _ normalized: Normalized, _ parameters: NormalizationParameters, rectified: Bool, _ dy: FeatureMaps<Scalar>,
    _ gradients: inout [Scalar]
  ) throws(BackendError) -> FeatureMaps<Scalar> {
    let gated = rectified ? dy.gated(by: normalized.output, pool: pool) : dy
    let (dx, scale, shift) = try normalized.statistics.backward(
      normalized.input, outputGradient: gated, scale: values[parameters.scale], pool: pool, over: collective)
    for channel in scale.indices {
      gradients[parameters.scale.lowerBound + channel] += scale[channel]
      gradients[parameters.shift.lowerBound + channel] += shift[channel]
    }
    return dx
  }
}
