import CKernels

/// Puts a convolution's weights, `[K, C, taps]` as PyTorch has them, into the blocks of 32 × 32 that the kernels read.
struct WeightPacking {
  let packing: ck_packing
  /// C.
  let inputs: ChannelSlabs
  let inputSlabs: Int
  /// K.
  let outputs: ChannelSlabs
  let taps: Int

  private var channels: Int { inputs.slabs[inputSlabs - 1].upperBound }
  private static let blockSize = ChannelSlabs.lanes * ChannelSlabs.lanes

  /// Floats that either packing takes.
  var size: Int { outputs.count * taps * inputSlabs * Self.blockSize }

  /// Calls `body` with each block of weights: the slabs of its inputs and outputs, its tap, and where its first weight stands.
  private func forEachBlock(_ body: (_ input: Int, _ output: Int, _ tap: Int, _ start: Int) -> Void) {
    for output in 0..<outputs.count {
      for tap in 0..<taps {
        for input in 0..<inputSlabs {
          let start = (outputs.slabs[output].lowerBound * channels + inputs.slabs[input].lowerBound) * taps + tap
          body(input, output, tap, start)
        }
      }
    }
  }

  /// For the forward pass: [output slab][tap][input slab][input][output].
  func pack(_ weights: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
    forEachBlock { input, output, tap, start in
      let block = (output * taps + tap) * inputSlabs + input
      packing.pack_block(
        packed + block * Self.blockSize, weights + start, inputs.slabs[input].count, outputs.slabs[output].count, taps,
        channels * taps, ChannelSlabs.lanes)
    }
  }

  /// For the data gradient, a convolution with the kernel turned round: [input slab][turned tap][output slab][output][input].
  func packTransposed(_ weights: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
    forEachBlock { input, output, tap, start in
      let block = (input * taps + taps - 1 - tap) * outputs.count + output
      packing.pack_block(
        packed + block * Self.blockSize, weights + start, outputs.slabs[output].count, inputs.slabs[input].count,
        channels * taps, taps, ChannelSlabs.lanes)
    }
  }

  /// Where the weight gradient's block [input][output] lies.
  func gradientBlock(input: Int, output: Int, tap: Int) -> Int {
    ((tap * inputSlabs + input) * outputs.count + output) * Self.blockSize
  }

  /// Adds the blocks of `groups` weight gradients, `size` apart, to `gradient`.
  func unpack(_ blocks: UnsafePointer<Float>, groups: Int, addingTo gradient: UnsafeMutablePointer<Float>) {
    forEachBlock { input, output, tap, start in
      packing.unpack_block(
        gradient + start, blocks + gradientBlock(input: input, output: output, tap: tap), groups, size,
        inputs.slabs[input].count, outputs.slabs[output].count, taps, channels * taps)
    }
  }
}

/// The stem's weights `[K, C, 7, 7]`, whose segments are rows of the kernel over interleaved channels.
struct StemPacking {
  let packing: ck_packing
  /// C.
  let channels: Int
  let outputs: ChannelSlabs
  /// Rows of a block: 7 · C, or more where the weight gradient wants a multiple of 8.
  let depth: Int

  private static let kernel = 7

  var size: Int { outputs.count * Self.kernel * depth * ChannelSlabs.lanes }

  /// A block is one output slab, one row of the kernel and one channel: its inputs are the row's 7 columns.
  private func forEachBlock(_ body: (_ block: Int, _ channel: Int, _ outputs: Int, _ start: Int) -> Void) {
    for output in 0..<outputs.count {
      for row in 0..<Self.kernel {
        for channel in 0..<channels {
          let start = (outputs.slabs[output].lowerBound * channels + channel) * 49 + row * Self.kernel
          let block = (output * Self.kernel + row) * depth * ChannelSlabs.lanes
          body(block, channel, outputs.slabs[output].count, start)
        }
      }
    }
  }

  /// [output slab][row][column · C + channel][output].
  func pack(_ weights: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
    forEachBlock { block, channel, outputs, start in
      for column in 0..<Self.kernel {
        packing.pack_block(
          packed + block + (column * channels + channel) * ChannelSlabs.lanes, weights + start + column, 1, outputs, 1,
          channels * 49, 1)
      }
    }
  }

  func unpack(_ blocks: UnsafePointer<Float>, groups: Int, addingTo gradient: UnsafeMutablePointer<Float>) {
    forEachBlock { block, channel, outputs, start in
      for column in 0..<Self.kernel {
        packing.unpack_block(
          gradient + start + column, blocks + block + (column * channels + channel) * ChannelSlabs.lanes, groups, size,
          1, outputs, 1, channels * 49)
      }
    }
  }
}
