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

    func with(_ pointers: [UnsafeMutablePointer<Float>], _ body: (ck_tile) -> Void) {
      let offsets = (0..<segments).map { $0 * 41 }
      offsets.withUnsafeBufferPointer { offsets in
        guard let base = offsets.baseAddress else { return }
        body(
          ck_tile(
            input: pointers[0], segment: base, segments: segments, depth: depth, stride: stride,
            input_pitch: inputPitch, weights: pointers[1], output: pointers[2], output_pitch: outputPitch, rows: rows,
            width: width, fetch: ck_fetch(start: pointers[0], lines: 3, pieces: segments, pitch: 41)))
      }
    }
  }

  static let tiles =
    (1...29).map { Tile(width: $0) } + [
      Tile(rows: 3, width: 7, segments: 36), Tile(rows: 2, width: 14, segments: 9), Tile(width: 112, segments: 5),
      Tile(rows: 2, width: 15, segments: 7, depth: 21, stride: 6),
      Tile(rows: 2, width: 9, segments: 7, depth: 7, stride: 2),
      Tile(rows: 1, width: 5, segments: 7, depth: 14, stride: 4), Tile(width: 3, segments: 1, depth: 1, stride: 1),
    ]

  @Test(arguments: tiles) func `every level stores what the reference stores`(tile: Tile) {
    let sizes = [tile.inputSize, tile.weightSize, tile.outputSize, 32, 32, 32]
    expectSameOfEveryLevel(sizes, seed: 1, "store") { kernels, arrays in
      tile.with(arrays) { tile in withUnsafePointer(to: tile) { kernels.convolution.store($0) } }
    }
    expectSameOfEveryLevel(sizes, seed: 2, "rectified") { kernels, arrays in
      tile.with(arrays) { tile in
        withUnsafePointer(to: tile) { kernels.convolution.store_rectified($0, arrays[3]) }
      }
    }
    expectSameOfEveryLevel(sizes, seed: 3, "summed") { kernels, arrays in
      tile.with(arrays) { tile in
        withUnsafePointer(to: tile) { kernels.convolution.store_summed($0, arrays[3], arrays[4], arrays[5]) }
      }
    }
  }

  @Test(arguments: tiles.filter { $0.stride == 32 })
  func `every level gates what the reference gates`(tile: Tile) {
    let pitch = (tile.width + 3) * 32
    let sizes = [
      tile.inputSize, tile.weightSize, tile.outputSize, tile.rows * pitch, tile.outputSize, 32, 32, 32, 32,
    ]
    expectSameOfEveryLevel(sizes, seed: 4, "gated") { kernels, arrays in
      let gate = ck_gate(
        activation: arrays[3], activation_pitch: pitch, x: arrays[4], mean: arrays[5], scale: arrays[6],
        sum: arrays[7], product: arrays[8])
      tile.with(arrays) { tile in
        withUnsafePointer(to: tile) { tile in
          withUnsafePointer(to: gate) { kernels.convolution.accumulate_gated(tile, $0) }
        }
      }
    }
  }

  @Test(arguments: [1e17, 1e-15] as [Float]) func `large and tiny numbers come through`(magnitude: Float) {
    let tile = Tile(width: 9)
    expectSameOfEveryLevel(
      [tile.inputSize, tile.weightSize, tile.outputSize, 32], seed: 5, magnitude: magnitude, "magnitude \(magnitude)"
    ) { kernels, arrays in
      tile.with(arrays) { tile in
        withUnsafePointer(to: tile) { kernels.convolution.store_rectified($0, arrays[3]) }
      }
    }
  }

  @Test(arguments: [CK_REFERENCE, CK_AVX512]) func `what is not a number is not rectified away`(level: ck_level) {
    let tile = Tile(width: 3, segments: 1)
    var arrays = GuardedArrays([tile.inputSize, tile.weightSize, tile.outputSize, 32], seed: 5, magnitude: 1)
    arrays.withPointers { arrays in
      arrays[0][32] = .nan
      tile.with(arrays) { tile in
        withUnsafePointer(to: tile) { ck_kernels_of(level).convolution.store_rectified($0, arrays[3]) }
      }
      #expect((0..<96).allSatisfy { arrays[2][$0].isNaN == (32..<64).contains($0) })
    }
  }

  @Test func `an output's bits do not depend on the tile it was computed in`() {
    let (wide, narrow) = (Tile(width: 27, segments: 5), 5)
    var arrays = GuardedArrays([wide.inputSize, wide.weightSize, 27 * 32, 27 * 32], seed: 6, magnitude: 1)
    let kernels = ck_kernels_of(ck_best_level())
    arrays.withPointers { arrays in
      wide.with(arrays) { tile in
        withUnsafePointer(to: tile) { kernels.convolution.store($0) }
        for first in stride(from: 0, to: 27, by: narrow) {
          var part = tile
          part.input += first * 32
          part.output = arrays[3] + first * 32
          part.width = min(narrow, 27 - first)
          withUnsafePointer(to: part) { kernels.convolution.store($0) }
        }
      }
      #expect((0..<27 * 32).allSatisfy { arrays[2][$0] == arrays[3][$0] })
    }
  }

  @Test(arguments: [(1, 1, 32), (1, 49, 32), (3, 14, 32), (2, 56, 32), (4, 9, 6), (2, 7, 2)])
  func `every level accumulates the reference's weight gradient`(rows: Int, width: Int, stride: Int) {
    let depth = stride == 32 ? 32 : stride == 6 ? 24 : 8
    let pitch = width * stride + 5
    expectSameOfEveryLevel(
      [rows * pitch + depth, rows * (width + 2) * 32, depth * 32], seed: 7, "outer product"
    ) { kernels, arrays in
      let product = ck_outer_product(
        input: arrays[0], input_pitch: pitch, stride: stride, depth: depth, gradient: arrays[1],
        gradient_pitch: (width + 2) * 32, rows: rows, width: width, weights: arrays[2],
        fetch: ck_fetch(start: arrays[0], lines: 2, pieces: rows, pitch: pitch))
      withUnsafePointer(to: product) { kernels.accumulate_outer_product($0) }
    }
  }
}
