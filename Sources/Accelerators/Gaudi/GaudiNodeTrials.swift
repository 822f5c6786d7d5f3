import CSynapse
import Engine
import Foundation
import Platform

/// A trial of every kind of node, on small odd sizes, with what it makes by definition.
struct GaudiNodeTrials {
  typealias Input = GaudiNodeTrial.Input
  typealias Value = GaudiGraph.Value

  /// A.
  private let element: GaudiElement

  /// Of all kinds; those that do not know A are there once, with float.
  static func all() -> [GaudiNodeTrial] {
    [GaudiElement.bf16, .float].flatMap { Self(element: $0).trials }
  }

  private init(element: GaudiElement) { self.element = element }

  private var trials: [GaudiNodeTrial] {
    elementwise + normalizations + convolutions + pools + shapes
      + (element == .float ? casts + [reduction, matrixProduct] : [])
  }

  // MARK: Inputs

  /// Values from -2 to 2 that the element holds. `stream`: other values each.
  private func input(
    _ sizes: [Int], _ stream: Int, _ element: GaudiElement? = nil, from least: Double = -2
  ) -> Input {
    let element = element ?? self.element
    var random = CounterRandom(seed: 12, purpose: .weightInitialization, sample: stream)
    let values = (0..<sizes.reduce(1, *)).map { _ in element.rounded(random.uniform(least, 2)) }
    return Input(element: element, sizes: sizes, values: values)
  }

  /// A trial of one node.
  private func single(
    _ kind: GaudiNodeKind, _ inputs: [Input], _ shapes: [(GaudiElement, [Int])], _ parameters: [UInt8] = [],
    absent: Int = 0, expected: [[Double]]
  ) -> GaudiNodeTrial {
    let outputs = zip(shapes, expected).map { shape, values in (element: shape.0, values: values) }
    return GaudiNodeTrial([kind], element, inputs, expected: outputs) { graph, values in
      _ = graph.add(
        kind, "trial", element, values + [Value?](repeating: nil, count: absent), shapes: shapes,
        parameters: parameters,
        into: Dictionary(uniqueKeysWithValues: shapes.indices.map { ($0, (GaudiNodeTrial.made[$0], 0)) }))
    }
  }

  // MARK: One value after the other

  private var elementwise: [GaudiNodeTrial] {
    let sizes = [5, 3, 2, 2]
    let (x, y) = (input(sizes, 1), input(sizes, 2))
    let positive = input(sizes, 3, from: 0.25)
    let row = input([5, 1, 1, 1], 4)
    func both(_ kind: GaudiNodeKind, _ a: Input, _ b: Input, _ body: (Double, Double) -> Double) -> GaudiNodeTrial {
      let values = a.values.indices.map { body(a.values[$0], b.values[b.values.count == 5 ? $0 % 5 : $0]) }
      return single(kind, [a, b], [(element, sizes)], expected: [values])
    }
    func one(_ kind: GaudiNodeKind, _ a: Input, _ body: (Double) -> Double) -> GaudiNodeTrial {
      single(kind, [a], [(element, sizes)], expected: [a.values.map(body)])
    }
    return [
      both(.sum, x, y, +), both(.sum, x, row, +), both(.difference, x, y, -), both(.product, x, y, *),
      both(.product, x, row, *), both(.quotient, x, positive, /), one(.squareRoot, positive) { $0.squareRoot() },
      one(.sigmoid, x) { 1 / (1 + exp(-$0)) }, one(.rectifier, x) { max($0, 0) },
      both(.rectifierGradient, x, y) { $1 > 0 ? $0 : 0 },
    ]
  }

  private var casts: [GaudiNodeTrial] {
    let (x, parameters) = (input([67], 5, .float), nodeParameters(synapse_cast(rounding: 0)))
    let half = input([67], 6, .bf16)
    let bytes = Input(element: .byte, sizes: [67], values: (0..<67).map { Double($0 * 3 % 256) })
    return [
      single(.castToBF16, [x], [(.bf16, [67])], parameters, expected: [x.values.map { GaudiElement.bf16.rounded($0) }]),
      single(.castToFloat, [half], [(.float, [67])], parameters, expected: [half.values]),
      single(.castBytes, [bytes], [(.float, [67])], parameters, expected: [bytes.values]),
    ]
  }

  private var reduction: GaudiNodeTrial {
    let x = input([4, 3, 7], 7)
    let sums = (0..<12).map { index in (0..<7).reduce(0.0) { sum, row in sum + x.values[index + 12 * row] } }
    return single(
      .reduction, [x], [(.float, [4, 3, 1])], nodeParameters(synapse_reduction(dimension: 2)), expected: [sums])
  }

  /// (K, M) × (N, K): rows m of a, columns n of b.
  private var matrixProduct: GaudiNodeTrial {
    let (k, m, n) = (6, 3, 5)
    let (a, b) = (input([k, m], 8), input([k, n], 9))
    let products = (0..<m * n).map { index -> Double in
      let (row, column) = (index / n * k, index % n * k)
      return (0..<k).reduce(0.0) { sum, index in sum + a.values[row + index] * b.values[column + index] }
    }
    return single(
      .matrixProduct, [a, b], [(.float, [n, m])],
      nodeParameters(synapse_gemm(transposes_first: false, transposes_second: true)), expected: [products])
  }

  // MARK: Shapes

  private var shapes: [GaudiNodeTrial] {
    let (pixels, few, many) = (6, 3, 5)
    let (a, b) = (input([few, 3, 2, 1], 10), input([many, 3, 2, 1], 11))
    var joined: [Double] = []
    for pixel in 0..<pixels {
      joined += a.values[pixel * few..<(pixel + 1) * few]
      joined += b.values[pixel * many..<(pixel + 1) * many]
    }
    let whole = Input(element: element, sizes: [few + many, 3, 2, 1], values: joined)
    let axis = nodeParameters(synapse_axis(axis: 0))
    return [
      single(.concatenation, [a, b], [(element, whole.sizes)], axis, expected: [joined]),
      single(
        .split, [whole], [(element, a.sizes), (element, b.sizes)], axis, expected: [a.values, b.values]),
      single(.reshape, [a], [(element, [few, pixels])], expected: [a.values]),
    ]
  }

  // MARK: Batch norm

  private var normalizations: [GaudiNodeTrial] {
    let (channels, pixels, epsilon) = (3, 10, 1e-5)
    let sizes = [channels, 5, 2, 1]
    let (x, dy) = (input(sizes, 12), input(sizes, 13))
    let (shift, scale) = (input([channels], 14, .float), input([channels], 15, .float))
    let (mean, variance) = (input([channels], 16, .float), input([channels], 17, .float, from: 0.5))
    func each(_ body: (Int) -> Double) -> [Double] { (0..<channels).map(body) }
    func sum(_ channel: Int, _ body: (Int) -> Double) -> Double {
      (0..<pixels).reduce(0) { $0 + body($1 * channels + channel) }
    }
    let means = each { channel in sum(channel) { x.values[$0] } / Double(pixels) }
    let inverses = each { channel in
      1 / (sum(channel) { pow(x.values[$0] - means[channel], 2) } / Double(pixels) + epsilon).squareRoot()
    }
    func normalized(_ index: Int) -> Double {
      (x.values[index] - means[index % channels]) * inverses[index % channels]
    }
    let y = x.values.indices.map { normalized($0) * scale.values[$0 % channels] + shift.values[$0 % channels] }
    let fixed = x.values.indices.map { index in
      let channel = index % channels
      return (x.values[index] - mean.values[channel]) / (variance.values[channel] + epsilon).squareRoot()
        * scale.values[channel] + shift.values[channel]
    }
    let dshift = each { channel in sum(channel) { dy.values[$0] } }
    let dscale = each { channel in sum(channel) { dy.values[$0] * normalized($0) } }
    let dx = x.values.indices.map { index in
      let channel = index % channels
      let mean = (dshift[channel] + normalized(index) * dscale[channel]) / Double(pixels)
      return scale.values[channel] * inverses[channel] * (dy.values[index] - mean)
    }
    func float(_ values: [Double]) -> Input { Input(element: .float, sizes: [channels], values: values) }
    let parameters = nodeParameters(
      synapse_normalization(
        threshold: 0, momentum: 0.1, epsilon: Float(epsilon), is_training: true, unused: (0, 0, 0)))
    let statistics: (GaudiElement, [Int]) = (.float, [channels])
    return [
      single(
        .normalization, [x, shift, scale, mean, variance], [(element, sizes), statistics, statistics], parameters,
        expected: [y, means, inverses]),
      single(
        .normalizationGradient, [x, dy, float(means), float(inverses), scale],
        [(element, sizes), statistics, statistics], parameters, expected: [dx, dshift, dscale]),
      single(
        .fixedNormalization, [x, shift, scale, mean, variance], [(element, sizes)],
        nodeParameters(synapse_fixed_normalization(threshold: 0, momentum: 0.1, epsilon: Float(epsilon))),
        expected: [fixed]),
    ]
  }
}

// MARK: Windows

extension GaudiNodeTrials {
  /// Pairs of a pixel of an output and one of an input that a window brings together, with the tap between them.
  private struct Window {
    let kernel, stride, padding: Int
    /// (W, H) of input and output.
    let input, output: (width: Int, height: Int)

    init(kernel: Int, stride: Int, padding: Int, input: (width: Int, height: Int)) {
      (self.kernel, self.stride, self.padding, self.input) = (kernel, stride, padding, input)
      output = (
        (input.width + 2 * padding - kernel) / stride + 1, (input.height + 2 * padding - kernel) / stride + 1
      )
    }

    func forEach(images: Int, _ body: (_ output: Int, _ input: Int, _ tap: Int) -> Void) {
      for image in 0..<images {
        for index in 0..<output.width * output.height {
          let (row, column) = (index / output.width * stride - padding, index % output.width * stride - padding)
          for tap in 0..<kernel * kernel {
            let (y, x) = (row + tap / kernel, column + tap % kernel)
            guard y >= 0, x >= 0, y < input.height, x < input.width else { continue }
            body(image * output.width * output.height + index, (image * input.height + y) * input.width + x, tap)
          }
        }
      }
    }
  }

  private var convolutions: [GaudiNodeTrial] {
    let (few, many, images) = (3, 5, 2)
    let window = Window(kernel: 3, stride: 2, padding: 1, input: (7, 5))
    let x = input([few, 7, 5, images], 20)
    let w = input([many, few, 3, 3], 21)
    let dy = input([many, window.output.width, window.output.height, images], 22)
    var y = [Double](repeating: 0, count: dy.values.count)
    var dx = [Double](repeating: 0, count: x.values.count)
    var dw = [Double](repeating: 0, count: w.values.count)
    window.forEach(images: images) { output, pixel, tap in
      for k in 0..<many {
        for c in 0..<few {
          let (to, from, weight) = (output * many + k, pixel * few + c, (tap * few + c) * many + k)
          y[to] += x.values[from] * w.values[weight]
          dx[from] += dy.values[to] * w.values[weight]
          dw[weight] += dy.values[to] * x.values[from]
        }
      }
    }
    let parameters = nodeParameters(GaudiLowering.window(3, stride: 2, padding: 1))
    return [
      single(.convolution, [x, w], [(element, dy.sizes)], parameters, absent: 2, expected: [y]),
      single(.convolutionInputGradient, [dy, w], [(element, x.sizes)], parameters, expected: [dx]),
      single(.convolutionWeightGradient, [dy, x], [(.float, w.sizes)], parameters, expected: [dw]),
    ]
  }

  private var pools: [GaudiNodeTrial] {
    let (channels, images) = (3, 2)
    let x = input([channels, 7, 5, images], 23)
    let maximum = Window(kernel: 3, stride: 2, padding: 1, input: (7, 5))
    let mean = Window(kernel: 2, stride: 2, padding: 0, input: (7, 5))
    func sizes(_ window: Window) -> [Int] { [channels, window.output.width, window.output.height, images] }
    let (dyMaximum, dyMean) = (input(sizes(maximum), 24), input(sizes(mean), 25))

    var largest = [Double](repeating: -.infinity, count: dyMaximum.values.count)
    var places = [Int](repeating: 0, count: largest.count)
    maximum.forEach(images: images) { output, pixel, _ in
      for c in 0..<channels where x.values[pixel * channels + c] > largest[output * channels + c] {
        largest[output * channels + c] = x.values[pixel * channels + c]
        places[output * channels + c] = pixel * channels + c
      }
    }
    var dxMaximum = [Double](repeating: 0, count: x.values.count)
    for (output, place) in places.enumerated() { dxMaximum[place] += dyMaximum.values[output] }
    var means = [Double](repeating: 0, count: dyMean.values.count)
    var dxMean = [Double](repeating: 0, count: x.values.count)
    mean.forEach(images: images) { output, pixel, _ in
      for c in 0..<channels {
        means[output * channels + c] += x.values[pixel * channels + c] / 4
        dxMean[pixel * channels + c] += dyMean.values[output * channels + c] / 4
      }
    }
    let position: GaudiElement = element == .bf16 ? .int16 : .byte
    let stem = nodeParameters(GaudiLowering.stemPool)
    let average = nodeParameters(GaudiLowering.averagePool(height: 2, width: 2, stride: 2))
    return [
      // Where maxima are is for the gradient alone to read.
      GaudiNodeTrial(
        [.maximumPool, .maximumPoolGradient], element, [x, dyMaximum],
        expected: [(element, largest), (element, dxMaximum)]
      ) { graph, values in
        let pooled = graph.add(
          .maximumPool, "pool", element, [values[0]],
          shapes: [(position, dyMaximum.sizes), (element, dyMaximum.sizes)], parameters: stem,
          into: [1: (GaudiNodeTrial.made[0], 0)])
        _ = graph.add(
          .maximumPoolGradient, "gradient", element, [values[1], pooled[0]], shapes: [(element, x.sizes)],
          parameters: stem, into: [0: (GaudiNodeTrial.made[1], 0)])
      },
      single(.averagePool, [x], [(element, dyMean.sizes)], average, expected: [means]),
      single(.averagePoolGradient, [dyMean], [(element, x.sizes)], average, expected: [dxMean]),
    ]
  }
}
