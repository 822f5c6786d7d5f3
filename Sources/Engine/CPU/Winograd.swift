import CKernels

/// A 3×3 convolution as 16 convolutions of 1×1, one for each place of Winograd's transformed tiles (`ck_winograd`).
///
/// A map's tiles are worked on in chunks. A chunk of `slabs` slabs is [16 places][slabs][tiles] pixels.
struct Winograd {
  static let places = 16
  /// Tiles of a chunk. 128 channels of them take 236 KB, which stay in a core's second cache beside 262 KB of weights; 28 are two
  /// times the 14 pixels that the convolution holds in registers.
  static let chunk = 28
  private static let lanes = ChannelSlabs.lanes
  private static let blockSize = lanes * lanes

  let kernels: ck_kernels

  /// Floats from slab to slab of a chunk.
  static let slabPitch = chunk * lanes

  /// Floats from place to place of a chunk: an odd multiple of 64, so that the places' lines fall into different sets of the first
  /// cache.
  static func pitch(slabs: Int) -> Int { (slabs * slabPitch + 127) / 128 * 128 + 64 }

  /// Floats of a chunk.
  static func chunkSize(slabs: Int) -> Int { places * pitch(slabs: slabs) }

  /// Tiles of a map.
  static func tiles(height: Int, width: Int) -> Int { (height + 1) / 2 * ((width + 1) / 2) }

  /// The pixels of a map that `tiles` stand for, `first` pixels into the map.
  static func own(_ tiles: ck_tiles, _ map: SlabMap, from first: Int, slabs: Int) -> ck_fetch {
    let row = tiles.first / ((tiles.width + 1) / 2)
    return ck_fetch(map, pixel: first + 2 * row * tiles.width, pixels: 4 * tiles.count, slabs: slabs)
  }

  /// The pixels of a map that the chunk behind `tiles` will be the first to read, `first` pixels into the map.
  static func next(_ tiles: ck_tiles, _ map: SlabMap, from first: Int, slabs: Int) -> ck_fetch {
    let row = (tiles.first + tiles.count - 1) / ((tiles.width + 1) / 2)
    return ck_fetch(map, pixel: first + (2 * row + 3) * tiles.width, pixels: 4 * tiles.count, slabs: slabs)
  }

  /// outputs[place][k] = Σ inputs[place][c] · weights[place][k][c] over the first `count` tiles of a chunk, for the output slabs k
  /// of `wanted`; c and k count slabs.
  func multiply(
    _ inputs: Activations, slabs inputSlabs: Int, by weights: Activations,
    into outputs: UnsafeMutablePointer<Float>, slabs outputSlabs: Int, _ wanted: Range<Int>, tiles count: Int,
    fetching fetch: ck_fetch
  ) {
    let segments = (0..<inputSlabs).map { $0 * Self.slabPitch }
    segments.withUnsafeBufferPointer { segments in
      guard let segment = segments.baseAddress else { return }
      for place in 0..<Self.places {
        for output in wanted {
          var tile = ck_tile(
            input: inputs.at(place * Self.pitch(slabs: inputSlabs)), segment: segment, segments: inputSlabs,
            depth: Self.lanes, stride: Self.lanes, input_pitch: 0,
            weights: weights.at((place * outputSlabs + output) * inputSlabs * Self.blockSize),
            output: outputs + place * Self.pitch(slabs: outputSlabs) + output * Self.slabPitch, output_pitch: 0,
            rows: 1,
            width: count,
            fetch: fetch.part(place * wanted.count + output - wanted.lowerBound, of: Self.places * wanted.count))
          kernels.convolution.store_float(&tile)
        }
      }
    }
  }

  /// weights[place][c][k] += Σ inputs[place][c] · gradients[place][k] over the first `count` tiles of a chunk, for the input slabs c of
  /// `wanted`. Turns the tiles into the pairs that the weight gradient takes.
  func accumulate(
    _ inputs: Activations, slabs inputSlabs: Int, _ wanted: Range<Int>, _ gradients: Activations,
    slabs outputSlabs: Int, into weights: UnsafeMutablePointer<Float>, tiles count: Int, fetching fetch: ck_fetch
  ) {
    func slab(_ tiles: Activations, _ slabs: Int, _ place: Int, _ slab: Int) -> UnsafeMutableRawPointer {
      tiles.at(place * Self.pitch(slabs: slabs) + slab * Self.slabPitch)
    }
    let words = inputs.precision.valuesOfWord
    for place in 0..<Self.places {
      for output in 0..<outputSlabs {
        let tiles = slab(gradients, outputSlabs, place, output)
        kernels.packing.pair_pixels(tiles, tiles, count)
      }
      for input in wanted {
        let tiles = slab(inputs, inputSlabs, place, input)
        kernels.packing.pair_pixels(tiles, tiles, count)
        for output in 0..<outputSlabs {
          var product = ck_outer_product(
            input: tiles, input_pitch: 0, stride: Self.lanes, depth: Self.lanes,
            gradient: slab(gradients, outputSlabs, place, output), gradient_pitch: 0, rows: 1,
            width: (count + words - 1) / words,
            weights: weights + ((place * inputSlabs + input) * outputSlabs + output) * Self.blockSize,
            fetch: output > 0
              ? .none : fetch.part(place * wanted.count + input - wanted.lowerBound, of: Self.places * wanted.count))
          kernels.accumulate_outer_product(&product)
        }
      }
    }
  }
}

/// Puts the weights of a 3×3 convolution, `[K, C, 3, 3]`, into transformed blocks of 32 × 32.
struct WinogradPacking: ConvolutionPacking {
  let kernels: ck_kernels
  let grid: BlockGrid

  private static let taps = 9
  private static let blockSize = ChannelSlabs.lanes * ChannelSlabs.lanes

  init(kernels: ck_kernels, inputs: ChannelSlabs, outputs: ChannelSlabs) {
    self.kernels = kernels
    grid = BlockGrid(inputs: inputs, inputSlabs: inputs.count, outputs: outputs)
  }

  var size: Int { Winograd.places * placePitch }
  private var placePitch: Int { grid.count * Self.blockSize }

  /// [place][output slab][input slab][input][output].
  func pack(_ weights: UnsafePointer<Float>, into packed: Activations, _ share: Share) {
    forEachBlock(share) { input, output, start, taps in
      kernels.packing.spread_taps(
        taps, weights + start, grid.inputs.slabs[input].count, grid.outputs.slabs[output].count, Self.taps,
        grid.channels * Self.taps, 0)
      kernels.winograd.transform_weights(
        packed.at((output * grid.inputSlabs + input) * Self.blockSize), placePitch, taps)
    }
  }

  /// [place][input slab][output slab][output][input].
  func packTransposed(_ weights: UnsafePointer<Float>, into packed: Activations, _ share: Share) {
    forEachBlock(share) { input, output, start, taps in
      kernels.packing.spread_taps(
        taps, weights + start, grid.outputs.slabs[output].count, grid.inputs.slabs[input].count,
        grid.channels * Self.taps, Self.taps, 1)
      kernels.winograd.transform_weights(packed.at(block(input, output)), placePitch, taps)
    }
  }

  /// Where a place's block [input][output] of the data gradient's weights lies, and of the weight gradient.
  private func block(_ input: Int, _ output: Int) -> Int { (input * grid.outputs.count + output) * Self.blockSize }

  func zeroGradient(_ blocks: UnsafeMutablePointer<Float>, inputs: Range<Int>) {
    for place in 0..<Winograd.places {
      (blocks + place * placePitch + block(inputs.lowerBound, 0)).update(
        repeating: 0, count: inputs.count * grid.outputs.count * Self.blockSize)
    }
  }

  func unpack(
    _ blocks: UnsafePointer<Float>, groups: Int, addingTo gradient: UnsafeMutablePointer<Float>, _ share: Share
  ) {
    forEachBlock(share) { input, output, start, taps in
      kernels.winograd.gather_weights(taps, blocks + block(input, output), placePitch, groups, size)
      for tap in 0..<Self.taps {
        kernels.packing.unpack_block(
          gradient + start + tap, taps + tap * Self.blockSize, 1, 0, grid.inputs.slabs[input].count,
          grid.outputs.slabs[output].count, Self.taps, grid.channels * Self.taps)
      }
    }
  }

  /// Calls `body` with each block's slabs, where its first weight stands, and room for nine blocks of taps.
  private func forEachBlock(
    _ share: Share, _ body: (_ input: Int, _ output: Int, _ start: Int, _ taps: UnsafeMutablePointer<Float>) -> Void
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.taps * Self.blockSize) { taps in
      guard let taps = taps.baseAddress else { return }
      grid.forEach(share) { input, output, start in body(input, output, start * Self.taps, taps) }
    }
  }
}
