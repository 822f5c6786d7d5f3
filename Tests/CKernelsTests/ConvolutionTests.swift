import CKernels
import Testing

@Suite struct ConvolutionTests {
  /// A tile in one array, with segments at odd places.
  struct Tile: CustomTestStringConvertible {
    var rows = 1
    var width: Int
    var segments = 2
    var depth = 32
    var stride = 32
    var testDescription: String { "\(rows)×\(width), \(segments) segments of \(depth), stride \(stride)" }

    var inputPitch: Int { (width + 1) * stride + 3 }
    var outputPitch: Int { (width + 2) * 32 }
    var inputSize: Int { (segments - 1) * 41 + rows * inputPitch + depth }
    var outputSize: Int { rows * outputPitch }
    var weightSize: Int { segments * depth * 32 }
    /// Words of bf16 are two inputs.
    var precisions: [ck_precision] { depth % 2 == 0 ? [CK_FP32, CK_BF16] : [CK_FP32] }

    /// The input is the first array of A, the weights are the second.
    func with(_ a: Activations, output: UnsafeMutableRawPointer, _ body: (UnsafePointer<ck_tile>) -> Void) {
      let offsets = (0..<segments).map { $0 * 41 }
      offsets.withUnsafeBufferPointer { offsets in
        guard let base = offsets.baseAddress else { return }
        let tile = ck_tile(
          input: a[0], segment: base, segments: segments, depth: depth, stride: stride, input_pitch: inputPitch,
          weights: a[1], output: output, output_pitch: outputPitch, rows: rows, width: width,
          fetch: ck_fetch(start: a[0].assumingMemoryBound(to: CChar.self), lines: 3, pieces: segments, pitch: 41))
        withUnsafePointer(to: tile, body)
      }
    }
  }

  static let tiles =
    (1...29).map { Tile(width: $0) } + [
      Tile(rows: 3, width: 7, segments: 36), Tile(rows: 2, width: 14, segments: 9), Tile(width: 112, segments: 5),
      Tile(rows: 2, width: 15, segments: 7, depth: 21, stride: 6),
      Tile(rows: 2, width: 15, segments: 7, depth: 22, stride: 6),
      Tile(rows: 2, width: 9, segments: 7, depth: 7, stride: 2),
      Tile(rows: 2, width: 9, segments: 7, depth: 8, stride: 2),
      Tile(rows: 1, width: 5, segments: 7, depth: 14, stride: 4), Tile(width: 3, segments: 1, depth: 1, stride: 1),
      Tile(width: 3, segments: 1, depth: 2, stride: 1),
    ]

  @Test(arguments: tiles) func `every level stores what the reference stores`(tile: Tile) {
    let sizes = [tile.inputSize, tile.weightSize, tile.outputSize]
    let precisions = tile.precisions
    expectSameOfEveryLevel(activations: sizes, seed: 1, precisions: precisions, "store") { kernels, a, _ in
      tile.with(a, output: a[2]) { kernels.convolution.store($0) }
    }
    expectSameOfEveryLevel(
      activations: Array(sizes.prefix(2)), floats: [tile.outputSize], seed: 1, precisions: precisions, "store float"
    ) { kernels, a, f in
      tile.with(a, output: f[0]) { kernels.convolution.store_float($0) }
    }
    expectSameOfEveryLevel(
      activations: sizes, floats: [32], seed: 2, precisions: precisions, "rectified"
    ) { kernels, a, f in
      tile.with(a, output: a[2]) { kernels.convolution.store_rectified($0, f[0]) }
    }
    expectSameOfEveryLevel(
      activations: sizes, floats: [32, 32, 32], seed: 3, precisions: precisions, "summed"
    ) { kernels, a, f in
      tile.with(a, output: a[2]) { kernels.convolution.store_summed($0, f[0], f[1], f[2]) }
    }
  }

  @Test(arguments: tiles) func `every level gates what the reference gates`(tile: Tile) {
    expectSameOfEveryLevel(
      activations: [tile.inputSize, tile.weightSize, tile.outputSize], floats: [tile.outputSize, 32, 32, 32, 32, 32],
      seed: 4, precisions: tile.precisions, "gated"
    ) { kernels, a, f in
      let gate = ck_gate(x: a[2], mean: f[1], scale: f[2], shift: f[3], sum: f[4], product: f[5])
      tile.with(a, output: f[0]) { tile in
        withUnsafePointer(to: gate) { kernels.convolution.accumulate_gated(tile, $0) }
      }
    }
  }

  /// Magnitudes whose products a float still has in full: 10³⁴ and 10⁻³⁰.
  @Test(arguments: [1e17, 1e-15] as [Float]) func `large and tiny numbers come through`(magnitude: Float) {
    let tile = Tile(width: 9)
    expectSameOfEveryLevel(
      activations: [tile.inputSize, tile.weightSize, tile.outputSize], floats: [32], seed: 5, magnitude: magnitude,
      "magnitude \(magnitude)"
    ) { kernels, a, f in
      // Of the sums' magnitude, so that neither is lost in the other.
      for lane in 0..<32 { f[0][lane] *= magnitude }
      tile.with(a, output: a[2]) { kernels.convolution.store_rectified($0, f[0]) }
    }
  }

  @Test(arguments: KernelTable.all) func `what is not a number is not rectified away`(table: KernelTable) {
    let tile = Tile(width: 3, segments: 1)
    var arrays = GuardedArrays(
      activations: [tile.inputSize, tile.weightSize, tile.outputSize], floats: [32], precision: table.precision,
      seed: 5)
    arrays.withPointers { a, f in
      a.set(0, 32, to: .nan)
      tile.with(a, output: a[2]) { table.kernels.convolution.store_rectified($0, f[0]) }
      // Swift 6.3.1 may take a closure in an `#expect` within a closure for another one there: none stands in one.
      let isNaN = a.values(2, 96).map(\.isNaN), second = (0..<96).map { (32..<64).contains($0) }
      #expect(isNaN == second)
    }
  }

  @Test(arguments: KernelTable.all)
  func `an output's bits do not depend on the tile it was computed in`(table: KernelTable) {
    let (wide, narrow, store) = (Tile(width: 27, segments: 5), 5, table.kernels.convolution.store_float)
    var arrays = GuardedArrays(
      activations: [wide.inputSize, wide.weightSize], floats: [27 * 32, 27 * 32], precision: table.precision, seed: 6)
    arrays.withPointers { a, f in
      wide.with(a, output: f[0]) { tile in
        store(tile)
        for first in stride(from: 0, to: 27, by: narrow) {
          var part = tile.pointee
          part.input = UnsafeRawPointer(a[0, at: first * 32])
          part.output = UnsafeMutableRawPointer(f[1] + first * 32)
          part.width = min(narrow, 27 - first)
          withUnsafePointer(to: part) { store($0) }
        }
      }
      let isSame = (0..<27 * 32).allSatisfy { f[0][$0] == f[1][$0] }
      #expect(isSame)
    }
    #expect(arrays.guardsAreIntact)
  }

  @Test(arguments: [(1, 1, 32), (1, 49, 32), (3, 14, 32), (2, 56, 32), (4, 9, 6), (2, 7, 2)])
  func `every level accumulates the reference's weight gradient`(rows: Int, width: Int, stride: Int) {
    let depth = stride == 32 ? 32 : stride == 6 ? 24 : 8
    let pitch = width * stride + 5
    // All is counted in words, which are two values in bf16.
    expectSameOfEveryLevel(
      activations: [2 * (rows * pitch + depth), 2 * rows * (width + 2) * 32], floats: [depth * 32], seed: 7,
      "outer product"
    ) { kernels, a, f in
      let product = ck_outer_product(
        input: a[0], input_pitch: pitch, stride: stride, depth: depth, gradient: a[1],
        gradient_pitch: (width + 2) * 32, rows: rows, width: width, weights: f[0],
        fetch: ck_fetch(start: a[0].assumingMemoryBound(to: CChar.self), lines: 2, pieces: rows, pitch: pitch))
      withUnsafePointer(to: product) { kernels.accumulate_outer_product($0) }
    }
  }
}
