import CSynapse
import Engine

/// A plan as the graph that a Gaudi's compiler is given: operation by operation as the textbook has them, for the compiler fuses by itself.
///
/// Maps are A, bf16 or float, and lie as NHWC; weights are kept in float, and rounded in the graph where A is bf16. Sums of convolutions, statistics and
/// the gradients of parameters are float. The classifier works in float.
struct GaudiLowering {
  /// How images come.
  enum Input: Hashable {
    /// Bytes of one channel for all, or of each.
    case gray, color
    /// What the stem works on.
    case values
  }

  typealias Value = GaudiGraph.Value

  let plan: Plan
  let layout: GaudiLayout
  /// Images.
  let count: Int
  /// A.
  let element: GaudiElement
  var graph: GaudiGraph
  /// Convolution weights in A, by where they begin.
  private var weights: [Int: Value] = [:]

  private init(_ plan: Plan, _ layout: GaudiLayout, count: Int, _ precision: Precision, _ name: String) {
    (self.plan, self.layout, self.count, element) = (plan, layout, count, GaudiElement(precision))
    graph = GaudiGraph(name)
  }

  /// A pass of inference over `count` images; `keepingFeatures`: the classifier's maps are written too.
  static func inference(
    _ plan: Plan, _ layout: GaudiLayout, count: Int, _ precision: Precision, _ input: Input, keepingFeatures: Bool
  ) -> GaudiGraph {
    var lowering = Self(plan, layout, count: count, precision, "inference")
    _ = lowering.forward(input, keepingFeatures: keepingFeatures)
    return lowering.graph
  }

  /// A pass forward and back over `count` images, whose gradients are written, not added to others.
  static func training(
    _ plan: Plan, _ layout: GaudiLayout, count: Int, _ precision: Precision, _ input: Input
  ) -> GaudiGraph {
    var lowering = Self(plan, layout, count: count, precision, "training")
    let tape = lowering.forward(input, keepingFeatures: false)
    lowering.backward(tape)
    return lowering.graph
  }

  // MARK: Tensors

  /// NHWC.
  func sizes(_ shape: FeatureShape) -> [Int] { [shape.channels, shape.width, shape.height, count] }

  /// A persistent tensor that the launch reads. `sizes`: nil for those of the layout.
  mutating func parameter(_ range: Range<Int>, _ name: String, _ sizes: [Int]? = nil) -> Value {
    let place = layout[range]
    let sizes = sizes ?? place.convolution.map { [$0.outputs, $0.inputs, $0.columns, $0.rows] } ?? [range.count]
    return graph.persistent(name, .float, sizes, in: place.part.section, at: 4 * place.start)
  }

  /// Where the gradient of what begins at `range` is written.
  func gradientPlace(_ range: Range<Int>) -> (section: GaudiSection, offset: Int) {
    let place = layout[range]
    guard let section = place.part.gradientSection else { preconditionFailure("running statistics have no gradient") }
    return (section, 4 * place.start)
  }

  /// Weights of a convolution as nodes read them.
  mutating func convolutionWeights(_ convolution: ConvolutionParameters, _ name: String) -> Value {
    if let known = weights[convolution.weight.lowerBound] { return known }
    var value = parameter(convolution.weight, name + "/weight")
    if element == .bf16 { value = cast(value, to: .bf16, name + "/weight/bf16") }
    weights[convolution.weight.lowerBound] = value
    return value
  }

  // MARK: Nodes of one output

  mutating func cast(_ x: Value, to element: GaudiElement, _ name: String) -> Value {
    let kind: GaudiNodeKind = x.element == .byte ? .castBytes : element == .bf16 ? .castToBF16 : .castToFloat
    return single(
      kind, name, [x], element, x.sizes, nodeParameters(synapse_cast(rounding: 0)))
  }

  mutating func single(
    _ kind: GaudiNodeKind, _ name: String, _ inputs: [Value?], _ made: GaudiElement, _ sizes: [Int],
    _ parameters: [UInt8] = [], into place: (section: GaudiSection, offset: Int)? = nil
  ) -> Value {
    graph.add(
      kind, name, made, inputs, shapes: [(made, sizes)], parameters: parameters,
      into: place.map { [0: $0] } ?? [:])[0]
  }

  // MARK: Forward

  /// What a batch norm was given and has made.
  struct Normalized {
    let parameters: NormalizationParameters
    let scale: Value
    let input: Value
    /// The batch's mean, and 1/√(variance + ε): of training.
    let statistics: (mean: Value, inverse: Value)?
    /// Behind the ReLU, where there is one.
    let output: Value
    let isRectified: Bool
  }

  /// What a pass leaves behind for the way back.
  struct Tape {
    var records: [Record] = []
    var pooled: Value
    var logits: Value
    var classifierWeight: Value
  }

  enum Record {
    case stem(image: Value, normalized: Normalized, positions: Value)
    case denseLayer(first: Normalized, second: Normalized)
    case transition(Normalized, convolved: Value)
    case head(Normalized)
  }

  private mutating func forward(_ input: Input, keepingFeatures: Bool) -> Tape {
    var x = images(input)
    var tape = Tape(pooled: x, logits: x, classifierWeight: x)
    for operation in plan.operations {
      switch operation {
      case .stem(let stem):
        let convolved = convolve(
          x, stem.convolution, kernel: 7, stride: 2, padding: 3, to: stem.convolved, "conv0")
        let normalized = normalize(convolved, stem.normalization, rectifying: true, "norm0")
        let pooled = graph.add(
          .maximumPool, "pool0", element, [normalized.output],
          shapes: [(element == .bf16 ? .int16 : .byte, sizes(stem.output)), (element, sizes(stem.output))],
          parameters: nodeParameters(Self.stemPool))
        tape.records.append(.stem(image: x, normalized: normalized, positions: pooled[0]))
        x = pooled[1]
      case .denseLayer(let layer):
        let name = "denseblock\(layer.block + 1)/denselayer\(layer.layer + 1)"
        let first = normalize(x, layer.normalization1, rectifying: true, name + "/norm1")
        let bottleneck = convolve(
          first.output, layer.convolution1, kernel: 1, to: layer.bottleneck, name + "/conv1")
        let second = normalize(bottleneck, layer.normalization2, rectifying: true, name + "/norm2")
        var shape = layer.bottleneck
        shape.channels = layer.output.channels - layer.input.channels
        let new = convolve(second.output, layer.convolution2, kernel: 3, padding: 1, to: shape, name + "/conv2")
        x = single(
          .concatenation, name + "/concat", [x, new], element, sizes(layer.output),
          nodeParameters(synapse_axis(axis: 0)))
        tape.records.append(.denseLayer(first: first, second: second))
      case .transition(let transition):
        let name = "transition\(transition.block + 1)"
        let normalized = normalize(x, transition.normalization, rectifying: true, name + "/norm")
        var shape = transition.input
        shape.channels = transition.output.channels
        let convolved = convolve(normalized.output, transition.convolution, kernel: 1, to: shape, name + "/conv")
        tape.records.append(.transition(normalized, convolved: convolved))
        x = single(
          .averagePool, name + "/pool", [convolved], element, sizes(transition.output),
          nodeParameters(Self.averagePool(height: 2, width: 2, stride: 2)))
      case .head(let head):
        let normalized = normalize(x, head.normalization, rectifying: head.hasReLU, "norm5")
        classify(normalized.output, head, &tape, keepingFeatures: keepingFeatures)
        tape.records.append(.head(normalized))
      case .loss: break
      }
    }
    return tape
  }

  /// The images in A.
  private mutating func images(_ input: Input) -> Value {
    let shape = sizes(plan.image)
    var x: Value
    switch input {
    case .values: x = graph.persistent("images", .float, shape, in: .images)
    case .gray, .color:
      let channels = plan.image.channels
      let bytes = graph.persistent(
        "images", .byte, [input == .gray ? 1 : channels] + shape.dropFirst(), in: .images)
      let scale = graph.persistent("pixels/scale", .float, [channels, 1, 1, 1], in: .pixels)
      let shift = graph.persistent(
        "pixels/shift", .float, [channels, 1, 1, 1], in: .pixels, at: Self.pixelShift(channels))
      x = cast(bytes, to: .float, "images/float")
      x = single(.product, "images/scaled", [x, scale], .float, shape)
      x = single(.sum, "images/values", [x, shift], .float, shape)
    }
    return element == .bf16 ? cast(x, to: .bf16, "images/bf16") : x
  }

  /// Where the shifts of bytes lie behind their scales, in bytes.
  static func pixelShift(_ channels: Int) -> Int { (4 * channels + 255) / 256 * 256 }

  private mutating func convolve(
    _ x: Value, _ convolution: ConvolutionParameters, kernel: Int, stride: Int = 1, padding: Int = 0,
    to shape: FeatureShape, _ name: String
  ) -> Value {
    single(
      .convolution, name, [x, convolutionWeights(convolution, name), nil, nil], element, sizes(shape),
      nodeParameters(Self.window(kernel, stride: stride, padding: padding)))
  }

  private mutating func normalize(
    _ x: Value, _ parameters: NormalizationParameters, rectifying: Bool, _ name: String
  ) -> Normalized {
    let shift = parameter(parameters.shift, name + "/bias")
    let scale = parameter(parameters.scale, name + "/weight")
    let mean = parameter(parameters.runningMean, name + "/running_mean")
    let variance = parameter(parameters.runningVariance, name + "/running_var")
    let inputs = [x, shift, scale, mean, variance]
    var y: Value
    var statistics: (mean: Value, inverse: Value)?
    switch plan.mode {
    case .inference:
      y = single(
        .fixedNormalization, name, inputs, element, x.sizes,
        nodeParameters(
          synapse_fixed_normalization(
            threshold: 0, momentum: Float(plan.architecture.batchNormMomentum),
            epsilon: Float(plan.architecture.batchNormEpsilon))))
    case .training:
      let channels = [x.sizes[0]]
      let made = graph.add(
        .normalization, name, element, inputs,
        shapes: [(element, x.sizes), (.float, channels), (.float, channels)], parameters: normalizationParameters,
        into: [
          1: (.statistics, 4 * layout[parameters.runningMean].start),
          2: (.statistics, 4 * layout[parameters.runningVariance].start),
        ])
      (y, statistics) = (made[0], (made[1], made[2]))
    }
    if rectifying { y = single(.rectifier, name + "/relu", [y], element, x.sizes) }
    return Normalized(
      parameters: parameters, scale: scale, input: x, statistics: statistics, output: y, isRectified: rectifying)
  }

  private mutating func classify(_ y: Value, _ head: Head, _ tape: inout Tape, keepingFeatures: Bool) {
    let maps: (section: GaudiSection, offset: Int)? = keepingFeatures ? (.maps, 0) : nil
    var y = y
    if element == .bf16 {
      y = single(
        .castToFloat, "maps", [y], .float, y.sizes, nodeParameters(synapse_cast(rounding: 0)), into: maps)
    } else if keepingFeatures {
      y = single(.reshape, "maps", [y], .float, y.sizes, into: maps)
    }
    let (channels, labels) = (head.input.channels, head.classCount)
    let mean = single(
      .averagePool, "mean", [y], .float, [channels, 1, 1, count],
      nodeParameters(Self.averagePool(height: head.input.height, width: head.input.width, stride: 1)))
    tape.pooled = single(.reshape, "mean/flat", [mean], .float, [channels, count])
    tape.classifierWeight = parameter(head.classifierWeight, "classifier/weight", [channels, labels])
    let bias = parameter(head.classifierBias, "classifier/bias", [labels, 1])
    let product = single(
      .matrixProduct, "classifier", [tape.pooled, tape.classifierWeight], .float, [labels, count],
      nodeParameters(synapse_gemm(transposes_first: false, transposes_second: true)))
    tape.logits = single(.sum, "logits", [product, bias], .float, [labels, count], into: (.logits, 0))
  }

  // MARK: Parameters of nodes

  var normalizationParameters: [UInt8] {
    nodeParameters(
      synapse_normalization(
        threshold: 0, momentum: Float(plan.architecture.batchNormMomentum),
        epsilon: Float(plan.architecture.batchNormEpsilon), is_training: true, unused: (0, 0, 0)))
  }

  static func window(_ kernel: Int, stride: Int, padding: Int) -> synapse_convolution {
    let (kernel, stride, padding) = (UInt32(kernel), UInt32(stride), Int32(padding))
    return synapse_convolution(
      kernel_width: kernel, kernel_height: kernel, stride_width: stride, stride_height: stride, padding_left: padding,
      padding_right: padding, padding_top: padding, padding_bottom: padding, dilation_width: 1, dilation_height: 1,
      activation_relu: false, activation_residual: false, activation_unused: 0, activation_channels: 1,
      activation_negative: 0, activation_positive: 0, groups: 1, unused: 0)
  }

  static var stemPool: synapse_maximum_pool { pool(height: 3, width: 3, stride: 2, padding: 1) }

  static func averagePool(height: Int, width: Int, stride: Int) -> synapse_average_pool {
    synapse_average_pool(window: pool(height: height, width: width, stride: stride, padding: 0), includes_padding: 0)
  }

  private static func pool(height: Int, width: Int, stride: Int, padding: Int32) -> synapse_maximum_pool {
    synapse_maximum_pool(
      padding_left: padding, padding_right: padding, padding_top: padding, padding_bottom: padding,
      kernel_width: Int32(width), kernel_height: Int32(height), stride_width: Int32(stride),
      stride_height: Int32(stride), dilation_width: 1, dilation_height: 1, convention: 0)
  }
}

extension GaudiLayout.Part {
  /// Where a pass reads it.
  var section: GaudiSection {
    switch self {
    case .features: .features
    case .classifier: .classifier
    case .running: .running
    }
  }

  /// Where a pass writes its gradient; nil for what has none.
  var gradientSection: GaudiSection? {
    switch self {
    case .features: .featureGradients
    case .classifier: .classifierGradients
    case .running: nil
    }
  }
}
