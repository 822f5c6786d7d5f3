import CKernels

/// Weights as PyTorch has them, `[K, C, …]`, in the order in which the kernels read them.
protocol ConvolutionPacking {
  /// Values that either packing takes, and floats of a weight gradient.
  var size: Int { get }
  /// For the forward pass. `share`: of the blocks, which are packed independently.
  func pack(_ weights: UnsafePointer<Float>, into packed: Activations, _ share: Share)
  /// For the data gradient, a convolution with the kernel turned round.
  func packTransposed(_ weights: UnsafePointer<Float>, into packed: Activations, _ share: Share)
  /// Zeroes a weight gradient's blocks of the slabs `inputs`.
  func zeroGradient(_ blocks: UnsafeMutablePointer<Float>, inputs: Range<Int>)
  /// Adds the weight gradients of `groups`, `size` apart, to `gradient`.
  func unpack(
    _ blocks: UnsafePointer<Float>, groups: Int, addingTo gradient: UnsafeMutablePointer<Float>, _ share: Share)
}

/// The slabs of a convolution's inputs and outputs, whose pairs are blocks of weights.
struct BlockGrid {
  let inputs: ChannelSlabs
  /// How many of them.
  let inputSlabs: Int
  let outputs: ChannelSlabs

  var count: Int { inputSlabs * outputs.count }
  var channels: Int { inputs.slabs[inputSlabs - 1].upperBound }

  /// Calls `body` with the slabs of each block and where its first weight stands in `[K, C]`.
  func forEach(_ share: Share, _ body: (_ input: Int, _ output: Int, _ start: Int) -> Void) {
    for index in share.range(count) {
      let (output, input) = index.quotientAndRemainder(dividingBy: inputSlabs)
      body(input, output, outputs.slabs[output].lowerBound * channels + inputs.slabs[input].lowerBound)
    }
  }
}

/// Puts the weights of a 1×1 convolution, `[K, C]`, into blocks of 32 × 32.
struct WeightPacking: ConvolutionPacking {
  let packing: ck_packing
  let grid: BlockGrid

  private static let blockSize = ChannelSlabs.lanes * ChannelSlabs.lanes

  init(packing: ck_packing, inputs: ChannelSlabs, inputSlabs: Int, outputs: ChannelSlabs) {
    self.packing = packing
    grid = BlockGrid(inputs: inputs, inputSlabs: inputSlabs, outputs: outputs)
  }

  var size: Int { grid.count * Self.blockSize }

  /// [output slab][input slab][input][output].
  func pack(_ weights: UnsafePointer<Float>, into packed: Activations, _ share: Share) {
    grid.forEach(share) { input, output, start in
      packing.pack_block(
        packed.at((output * grid.inputSlabs + input) * Self.blockSize), weights + start, grid.inputs.slabs[input].count,
        grid.outputs.slabs[output].count, 1, grid.channels, ChannelSlabs.lanes)
    }
  }

  /// [input slab][output slab][output][input].
  func packTransposed(_ weights: UnsafePointer<Float>, into packed: Activations, _ share: Share) {
    grid.forEach(share) { input, output, start in
      packing.pack_block(
        packed.at(gradientBlock(input: input, output: output)), weights + start, grid.outputs.slabs[output].count,
        grid.inputs.slabs[input].count, grid.channels, 1, ChannelSlabs.lanes)
    }
  }

  func zeroGradient(_ blocks: UnsafeMutablePointer<Float>, inputs: Range<Int>) {
    (blocks + gradientBlock(input: inputs.lowerBound, output: 0)).update(
      repeating: 0, count: inputs.count * grid.outputs.count * Self.blockSize)
  }

  /// Where the weight gradient's block [input][output] lies.
  func gradientBlock(input: Int, output: Int) -> Int { (input * grid.outputs.count + output) * Self.blockSize }

  func unpack(
    _ blocks: UnsafePointer<Float>, groups: Int, addingTo gradient: UnsafeMutablePointer<Float>, _ share: Share
  ) {
    grid.forEach(share) { input, output, start in
      packing.unpack_block(
        gradient + start, blocks + gradientBlock(input: input, output: output), groups, size,
        grid.inputs.slabs[input].count, grid.outputs.slabs[output].count, 1, grid.channels)
    }
  }
}

/// The stem's weights `[K, C, 7, 7]`, whose segments are rows of the kernel over interleaved channels.
struct StemPacking {
  let packing: ck_packing
  /// C.
  let channels: Int
  let outputs: ChannelSlabs
  /// Rows of a block: 7 · C, or more where pairs want an even number or the weight gradient a multiple of 8.
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
  func pack(_ weights: UnsafePointer<Float>, into packed: Activations) {
    let inputs = Self.kernel * channels
    withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs * ChannelSlabs.lanes) { row in
      guard let row = row.baseAddress else { return }
      forEachBlock { block, channel, outputs, start in
        for column in 0..<Self.kernel {
          for output in 0..<outputs {
            row[(column * channels + channel) * ChannelSlabs.lanes + output] =
              weights[start + column + output * channels * 49]
          }
        }
        guard channel == channels - 1 else { return }
        packing.pack_block(packed.at(block), row, inputs, outputs, ChannelSlabs.lanes, 1, depth)
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
