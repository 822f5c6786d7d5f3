import CKernels

/// The way forward: each convolution sums its outputs' statistics as it stores them, and the next packs normalised tiles.
extension CPUTraining {
  /// Runs `count` images forward with the batch's statistics, and moves the running ones; returns the logits `[N, L]`.
  func forward(_ pixels: [Float], count: Int) -> [Float] {
    stem(pixels, count)
    for (index, block) in blocks.enumerated() {
      for layer in block.layers.indices {
        prepare(block.layers[layer].normalization1, block.statistics, pixels: count * block.plan.area)
        bottleneck(block, layer, count)
        growth(block, layer, count)
      }
      prepare(block.normalization, block.statistics, pixels: count * block.plan.area)
      if block.convolution != nil { transition(block, into: blocks[index + 1], count) }
    }
    return head(count)
  }

  private func prepare(_ normalization: TrainingNormalization, _ statistics: BatchStatistics, pixels: Int) {
    normalization.prepare(statistics, pixels: pixels, architecture: plan.architecture, values)
  }

  /// The batch norm that reads the slabs behind layer `layer` (−1: the block's input) first.
  private func reader(_ block: Block, behind layer: Int) -> TrainingNormalization {
    layer + 1 < block.layers.count ? block.layers[layer + 1].normalization1 : block.normalization
  }

  // MARK: Stem

  private func stem(_ pixels: [Float], _ count: Int) {
    let shape = fused.stem.convolved
    stemNormalization.guess(stemStatistics, values)
    stemPacking.pack(values + fused.stem.convolution.weight.lowerBound, into: packed)
    pixels.withUnsafeBufferPointer { pixels in
      guard let base = pixels.baseAddress else { return }
      forEachImage(count) { image, scratch in
        stemConvolution(base + image * fused.stem.image.count, image, scratch)
      }
    }
    let size = count * shape.area
    stemStatistics.take(sums.total(lanes: stemSlabs.lanes, images: count), from: 0, pixels: size)
    prepare(stemNormalization, stemStatistics, pixels: size)

    let block = blocks[0]
    reader(block, behind: -1).guess(block.statistics, values)
    forEachImage(count) { image, scratch in stemPool(block, image, scratch) }
    block.statistics.take(
      sums.total(lanes: stemSlabs.lanes, images: count), from: 0, pixels: count * fused.stem.output.area)
  }

  private func stemConvolution(_ pixels: UnsafePointer<Float>, _ image: Int, _ scratch: Scratch) {
    let (input, shape) = (fused.stem.image, fused.stem.convolved)
    let (channels, pitch) = (input.channels, fused.paddedImagePitch)
    let padded = images + image * fused.paddedImageSize
    for y in 0..<input.height {
      kernels.packing.interleave(
        padded + (y + 3) * pitch + 3 * channels, pixels + y * input.width, channels, input.area, input.width)
    }
    sums.begin(image: image, lanes: 0..<stemSlabs.lanes)
    (0..<shape.height).forEachBand(of: stemBand) { rows in
      for slab in 0..<stemSlabs.count {
        var tile = ck_tile(
          input: padded + 2 * rows.lowerBound * pitch, segment: stemRows, segments: 7, depth: fused.stemDepth,
          stride: 2 * channels, input_pitch: 2 * pitch,
          weights: packed + slab * 7 * fused.stemDepth * ChannelSlabs.lanes,
          output: convolved.at(slab, pixel: image * shape.area + rows.lowerBound * shape.width),
          output_pitch: shape.width * ChannelSlabs.lanes, rows: rows.count, width: shape.width, fetch: .none)
        let lane = slab * ChannelSlabs.lanes
        kernels.convolution.store_summed(
          &tile, stemStatistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane)
      }
      sums.flush(scratch.sums, lanes: 0..<stemSlabs.lanes, image: image)
    }
  }

  private func stemPool(_ block: Block, _ image: Int, _ scratch: Scratch) {
    let (shape, output) = (fused.stem.convolved, fused.stem.output)
    sums.begin(image: image, lanes: 0..<stemSlabs.lanes)
    for slab in 0..<stemSlabs.count {
      let lane = slab * ChannelSlabs.lanes
      func row(_ y: Int) -> UnsafeMutablePointer<Float>? {
        y < 0 || y >= shape.height ? nil : convolved.at(slab, pixel: image * shape.area + y * shape.width)
      }
      for y in 0..<output.height {
        guard let middle = row(2 * y) else { continue }
        let out = block.slabs.at(slab, pixel: image * output.area + y * output.width)
        kernels.pooling.max_pool(
          out, row(2 * y - 1), middle, row(2 * y + 1), stemNormalization.scale + lane, stemNormalization.shift + lane,
          shape.width)
        kernels.pooling.sums(
          out, block.statistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane, output.width)
      }
    }
    sums.flush(scratch.sums, lanes: 0..<stemSlabs.lanes, image: image)
  }

  // MARK: Dense layers

  private func bottleneck(_ block: Block, _ index: Int, _ count: Int) {
    let layer = block.layers[index]
    layer.normalization2.guess(layer.statistics, values)
    let lanes = 0..<block.plan.bottleneck.lanes
    convolveBottleneck(
      block, layer, into: layer.maps.bottleneck, count, begin: { image in sums.begin(image: image, lanes: lanes) }
    ) { tile, output, scratch in
      let lane = output * ChannelSlabs.lanes
      kernels.convolution.store_summed(
        &tile, layer.statistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane)
    } end: { image, scratch in
      sums.flush(scratch.sums, lanes: lanes, image: image)
    }
    layer.statistics.take(
      sums.total(lanes: lanes.count, images: count), from: 0, pixels: count * block.plan.area)
    prepare(layer.normalization2, layer.statistics, pixels: count * block.plan.area)
  }

  /// Makes a bottleneck that was forgotten again, with the same bits; its statistics are known.
  func recomputeBottleneck(_ block: Block, _ layer: Layer, _ count: Int) {
    convolveBottleneck(
      block, layer, into: layer.maps.bottleneckAgain, count, begin: { _ in }
    ) { tile, _, _ in kernels.convolution.store(&tile) } end: { _, _ in }
  }

  /// norm1, ReLU and the 1×1 convolution; `store` is called with each tile of an output slab, `end` behind each tile of pixels.
  private func convolveBottleneck(
    _ block: Block, _ layer: Layer, into out: SlabMap, _ count: Int, begin: (_ image: Int) -> Void,
    store: (inout ck_tile, _ output: Int, Scratch) -> Void, end: (_ image: Int, Scratch) -> Void
  ) {
    let (normalization, weights) = (layer.normalization1, pack(layer.convolution1))
    let inputs = normalization.prefix
    forEachImage(count) { image, scratch in
      begin(image)
      (0..<block.plan.area).forEachBand(of: CPUPlan.tilePixels(slabs: inputs)) { pixels in
        let pixel = image * block.plan.area + pixels.lowerBound
        let next = ck_fetch(block.slabs, pixel: pixel + pixels.count, pixels: pixels.count, slabs: inputs)
        for slab in 0..<inputs {
          let lane = slab * ChannelSlabs.lanes
          kernels.packing.normalize(
            scratch.tile + block.tileSegments[slab], block.slabs.at(slab, pixel: pixel), normalization.scale + lane,
            normalization.shift + lane, pixels.count)
        }
        for output in 0..<block.plan.bottleneck.count {
          var tile = pointwise(
            block, scratch.tile, slabs: inputs, weights: weights, output: output, into: out.at(output, pixel: pixel),
            pixels: pixels.count, fetching: next.part(output, of: block.plan.bottleneck.count))
          store(&tile, output, scratch)
        }
        end(image, scratch)
      }
    }
  }

  private func growth(_ block: Block, _ index: Int, _ count: Int) {
    let (layer, firstSlab) = (block.layers[index], block.plan.inputSlabs(of: index))
    let (inputs, outputs) = (block.plan.bottleneck.count, block.plan.growth.count)
    let lanes = 0..<block.plan.growth.lanes
    reader(block, behind: index).guess(block.statistics, from: firstSlab, values)
    let pivot = block.statistics.pivot + firstSlab * ChannelSlabs.lanes
    let weights = pack(layer.convolution2)
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: lanes)
      forEachChunk(block) { tiles in
        transformBottleneck(
          block, layer, layer.maps.bottleneck, image: image, slabs: 0..<inputs, &tiles, scratch)
        winograd.multiply(
          scratch.bottleneck, slabs: inputs, by: weights, into: scratch.growth, slabs: outputs, 0..<outputs,
          tiles: tiles.count,
          fetching: Winograd.next(tiles, layer.maps.bottleneck, from: image * block.plan.area, slabs: inputs))
        for output in 0..<outputs {
          let lane = output * ChannelSlabs.lanes
          kernels.winograd.gather_summed(
            block.slabs.at(firstSlab + output, pixel: image * block.plan.area),
            scratch.growth + output * Winograd.slabPitch, Winograd.pitch(slabs: outputs), pivot + lane,
            scratch.sums.first + lane, scratch.sums.second + lane, &tiles)
        }
        sums.flush(scratch.sums, lanes: lanes, image: image)
      }
    }
    block.statistics.take(
      sums.total(lanes: lanes.count, images: count), from: firstSlab * ChannelSlabs.lanes,
      pixels: count * block.plan.area)
  }

  // MARK: Transitions and the head

  /// Average pool and 1×1 convolution commute: pooled first, the convolution has a quarter of the work.
  private func transition(_ block: Block, into next: Block, _ count: Int) {
    guard let convolution = block.convolution else { return }
    let (width, area) = (next.plan.width, next.plan.area)
    let (inputs, outputs) = (block.plan.slabs.count, convolution.packing.grid.outputs)
    reader(next, behind: -1).guess(next.statistics, values)
    let weights = pack(convolution)
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: 0..<outputs.lanes)
      (0..<next.plan.height).forEachBand(of: pooledRows(block, width: width, slabs: inputs)) { rows in
        for slab in 0..<inputs {
          packPooled(
            block, slab: slab, image: image, rows: rows, width: width, into: scratch.tile + block.tileSegments[slab])
        }
        for output in 0..<outputs.count {
          let lane = output * ChannelSlabs.lanes
          var tile = pointwise(
            block, scratch.tile, slabs: inputs, weights: weights, output: output,
            into: next.slabs.at(output, pixel: image * area + rows.lowerBound * width), pixels: rows.count * width)
          kernels.convolution.store_summed(
            &tile, next.statistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane)
        }
        sums.flush(scratch.sums, lanes: 0..<outputs.lanes, image: image)
      }
    }
    next.statistics.take(sums.total(lanes: outputs.lanes, images: count), from: 0, pixels: count * area)
  }

  private func head(_ count: Int) -> [Float] {
    let block = blocks[blocks.count - 1]
    let (channels, classes) = (fused.head.input.channels, fused.head.classCount)
    pooled = [Float](repeating: 0, count: count * channels)
    pooled.withUnsafeMutableBufferPointer { pooled in
      forEachImage(count) { image, scratch in
        for slab in 0..<block.plan.slabs.count {
          let lane = slab * ChannelSlabs.lanes
          kernels.pooling.head_sum(
            scratch.tile + lane, block.slabs.at(slab, pixel: image * block.plan.area), block.normalization.scale + lane,
            block.normalization.shift + lane, floor, block.plan.area)
        }
        block.plan.slabs.forEachChannel { channel, lane in
          pooled[image * channels + channel] = scratch.tile[lane] / Float(block.plan.area)
        }
      }
    }
    let (weights, bias) = (
      values + fused.head.classifierWeight.lowerBound, values + fused.head.classifierBias.lowerBound
    )
    return (0..<count * classes).map { index in
      let (image, label) = index.quotientAndRemainder(dividingBy: classes)
      var logit: Float = 0
      for channel in 0..<channels { logit += weights[label * channels + channel] * pooled[image * channels + channel] }
      return logit + bias[label]
    }
  }
}
