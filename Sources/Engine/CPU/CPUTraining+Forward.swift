import CKernels

/// The way forward: each convolution sums its outputs' statistics as it stores them, and the next packs normalised tiles.
///
/// Sums of squares are taken about a pivot, which is the output at one pixel in the middle of the first image: whatever the channel's mean, that
/// is some standard deviations from it at the most, and the variance is no small difference of large sums.
extension CPUTraining {
  /// Runs `count` images forward with the batch's statistics, and moves the running ones; returns the logits `[N, L]`.
  func forward(_ pixels: [Float], count: Int) throws(BackendError) -> [Float] {
    batchCount = Int(try collective.sum([Double(count)])[0])
    try stem(pixels, count)
    for (index, block) in blocks.enumerated() {
      for layer in block.layers.indices {
        prepare(block.layers[layer].normalization1, block.statistics, area: block.plan.area)
        try bottleneck(block, layer, count)
        try growth(block, layer, count)
      }
      prepare(block.normalization, block.statistics, area: block.plan.area)
      if block.convolution != nil { try transition(block, into: blocks[index + 1], count) }
    }
    return head(count)
  }

  private func prepare(_ normalization: TrainingNormalization, _ statistics: BatchStatistics, area: Int) {
    normalization.prepare(statistics, pixels: batchCount * area, architecture: plan.architecture, values)
  }

  // MARK: Stem

  private func stem(_ pixels: [Float], _ count: Int) throws(BackendError) {
    let (input, shape, pooled) = (fused.stem.image, fused.stem.convolved, fused.stem.output)
    stemPacking.pack(values + fused.stem.convolution.weight.lowerBound, into: packed)
    pixels.withUnsafeBufferPointer { pixels in
      guard let base = pixels.baseAddress else { return }
      forEachImage(count) { image, _ in
        let padded = images + image * fused.paddedImageSize
        for y in 0..<input.height {
          kernels.packing.interleave(
            padded.at((y + 3) * fused.paddedImagePitch + 3 * input.channels),
            base + image * input.count + y * input.width, input.channels, input.area, input.width)
        }
      }
    }
    for slab in 0..<stemSlabs.count {
      var pixel = stemTile(
        image: 0, rows: shape.height / 2..<shape.height / 2 + 1, from: shape.width / 2, slab,
        into: stemStatistics.pivot + slab * ChannelSlabs.lanes)
      pixel.width = 1
      kernels.convolution.store_float(&pixel)
    }
    forEachImage(count) { image, scratch in stemConvolution(image, scratch) }
    try take(stemStatistics, lanes: stemSlabs.lanes, images: count, area: shape.area)
    prepare(stemNormalization, stemStatistics, area: shape.area)

    let block = blocks[0]
    for slab in 0..<stemSlabs.count {
      stemPool(image: 0, row: pooled.height / 2, slab, into: scratch[0].tile.base)
      kernels.packing.widen(
        block.statistics.pivot + slab * ChannelSlabs.lanes,
        scratch[0].tile.at(pooled.width / 2 * ChannelSlabs.lanes), ChannelSlabs.lanes)
    }
    forEachImage(count) { image, scratch in stemPool(block, image, scratch) }
    try take(block.statistics, lanes: stemSlabs.lanes, images: count, area: pooled.area)
  }

  /// `rows` of an image, from column `column` on, through the convolution to slab `slab`.
  private func stemTile(
    image: Int, rows: Range<Int>, from column: Int = 0, _ slab: Int, into out: UnsafeMutableRawPointer
  ) -> ck_tile {
    let (channels, width, pitch) = (fused.stem.image.channels, fused.stem.convolved.width, fused.paddedImagePitch)
    return ck_tile(
      input: images.at(image * fused.paddedImageSize + 2 * rows.lowerBound * pitch + 2 * channels * column),
      segment: stemRows, segments: 7,
      depth: fused.stemDepth, stride: 2 * channels, input_pitch: 2 * pitch,
      weights: packed.at(slab * 7 * fused.stemDepth * ChannelSlabs.lanes), output: out,
      output_pitch: width * ChannelSlabs.lanes, rows: rows.count, width: width, fetch: .none)
  }

  private func stemConvolution(_ image: Int, _ scratch: Scratch) {
    let (shape, lanes) = (fused.stem.convolved, 0..<stemSlabs.lanes)
    sums.begin(image: image, lanes: lanes)
    (0..<shape.height).forEachBand(of: stemBand) { rows in
      for slab in 0..<stemSlabs.count {
        let (lane, pixel) = (slab * ChannelSlabs.lanes, image * shape.area + rows.lowerBound * shape.width)
        var tile = stemTile(image: image, rows: rows, slab, into: convolved.at(slab, pixel: pixel))
        kernels.convolution.store_summed(
          &tile, stemStatistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane)
      }
      sums.flush(scratch.sums, lanes: lanes, image: image)
    }
  }

  private func stemPool(_ block: Block, _ image: Int, _ scratch: Scratch) {
    let (output, lanes) = (fused.stem.output, 0..<stemSlabs.lanes)
    sums.begin(image: image, lanes: lanes)
    (0..<output.height).forEachBand(of: CPUPlan.bandRows(width: output.width, slabs: 1)) { rows in
      for slab in 0..<stemSlabs.count {
        let lane = slab * ChannelSlabs.lanes
        for row in rows {
          let out = block.slabs.at(slab, pixel: image * output.area + row * output.width)
          stemPool(image: image, row: row, slab, into: out)
          kernels.pooling.sums(
            out, block.statistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane, output.width)
        }
      }
      sums.flush(scratch.sums, lanes: lanes, image: image)
    }
  }

  /// One row of one slab, normalised, rectified and pooled.
  private func stemPool(image: Int, row: Int, _ slab: Int, into out: UnsafeMutableRawPointer) {
    let (shape, lane) = (fused.stem.convolved, slab * ChannelSlabs.lanes)
    let middle = convolved.at(slab, pixel: image * shape.area + 2 * row * shape.width)
    let pitch = shape.width * convolved.pixelSize
    kernels.pooling.max_pool(
      out, row > 0 ? middle - pitch : nil, middle, 2 * row + 1 < shape.height ? middle + pitch : nil,
      stemNormalization.scale + lane, stemNormalization.shift + lane, shape.width)
  }

  // MARK: Dense layers

  private func bottleneck(_ block: Block, _ index: Int, _ count: Int) throws(BackendError) {
    let layer = block.layers[index]
    let (lanes, statistics) = (0..<block.plan.bottleneck.lanes, layer.statistics)
    let weights = pack(layer.convolution1)
    bottleneckTile(block, layer, weights, pixel: block.plan.area / 2, pixels: 1, scratch[0]) { tile, output in
      tile.output = UnsafeMutableRawPointer(statistics.pivot + output * ChannelSlabs.lanes)
      kernels.convolution.store_float(&tile)
    }
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: lanes)
      forEachBottleneckTile(block, layer, image: image) { pixel, pixels in
        bottleneckTile(block, layer, weights, pixel: pixel, pixels: pixels, scratch) { tile, output in
          let lane = output * ChannelSlabs.lanes
          kernels.convolution.store_summed(
            &tile, statistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane)
        }
        sums.flush(scratch.sums, lanes: lanes, image: image)
      }
    }
    try take(statistics, lanes: lanes.count, images: count, area: block.plan.area)
    prepare(layer.normalization2, statistics, area: block.plan.area)
  }

  /// Makes a bottleneck that was forgotten again, with the same bits; its statistics are known.
  func recomputeBottleneck(_ block: Block, _ layer: Layer, _ count: Int) {
    let (weights, out) = (pack(layer.convolution1), layer.maps.bottleneckAgain)
    forEachImage(count) { image, scratch in
      forEachBottleneckTile(block, layer, image: image) { pixel, pixels in
        bottleneckTile(block, layer, weights, pixel: pixel, pixels: pixels, scratch) { tile, output in
          tile.output = out.at(output, pixel: pixel)
          kernels.convolution.store(&tile)
        }
      }
    }
  }

  private func forEachBottleneckTile(
    _ block: Block, _ layer: Layer, image: Int, _ body: (_ pixel: Int, _ pixels: Int) -> Void
  ) {
    (0..<block.plan.area).forEachBand(of: CPUPlan.tilePixels(slabs: layer.normalization1.prefix)) {
      body(image * block.plan.area + $0.lowerBound, $0.count)
    }
  }

  /// norm1, ReLU and the 1×1 convolution of `pixels` pixels; `store` is called for each output slab, with its place in the bottleneck.
  private func bottleneckTile(
    _ block: Block, _ layer: Layer, _ weights: Activations, pixel: Int, pixels: Int, _ scratch: Scratch,
    store: (inout ck_tile, _ output: Int) -> Void
  ) {
    let (normalization, outputs) = (layer.normalization1, block.plan.bottleneck.count)
    for slab in 0..<normalization.prefix {
      let lane = slab * ChannelSlabs.lanes
      kernels.packing.normalize(
        scratch.tile.at(block.tileSegments[slab]), block.slabs.at(slab, pixel: pixel), normalization.scale + lane,
        normalization.shift + lane, pixels)
    }
    let next = ck_fetch(block.slabs, pixel: pixel + pixels, pixels: pixels, slabs: normalization.prefix)
    for output in 0..<outputs {
      var tile = ck_tile(
        pointwise: scratch.tile.base, block.tileSegments, slabs: normalization.prefix, weights: weights, output: output,
        into: layer.maps.bottleneck.at(output, pixel: pixel), pixels: pixels, fetching: next.part(output, of: outputs))
      store(&tile, output)
    }
  }

  private func growth(_ block: Block, _ index: Int, _ count: Int) throws(BackendError) {
    let (layer, firstSlab) = (block.layers[index], block.plan.inputSlabs(of: index))
    let (inputs, outputs) = (block.plan.bottleneck.count, block.plan.growth.count)
    let lanes = 0..<block.plan.growth.lanes
    let pivot = block.statistics.pivot + firstSlab * ChannelSlabs.lanes
    let weights = pack(layer.convolution2)
    /// Makes `scratch.growthProducts` of some tiles.
    func multiply(image: Int, _ tiles: inout ck_tiles, _ scratch: Scratch) {
      transformBottleneck(block, layer, layer.maps.bottleneck, image: image, slabs: 0..<inputs, &tiles, scratch)
      winograd.multiply(
        scratch.bottleneck, slabs: inputs, by: weights, into: scratch.growthProducts, slabs: outputs, 0..<outputs,
        tiles: tiles.count,
        fetching: Winograd.next(tiles, layer.maps.bottleneck, from: image * block.plan.area, slabs: inputs))
    }
    let (height, width) = (block.plan.height, block.plan.width)
    var tile = ck_tiles(height: height, width: width, first: Winograd.tiles(height: height, width: width) / 2, count: 1)
    multiply(image: 0, &tile, scratch[0])
    for output in 0..<outputs {
      // Of the tile, a map of one pixel takes the first.
      var pixel = ck_tiles(height: 1, width: 1, first: 0, count: 1)
      kernels.winograd.gather(
        scratch[0].tile.base, scratch[0].growthProducts + output * Winograd.slabPitch, Winograd.pitch(slabs: outputs),
        &pixel)
      kernels.packing.widen(pivot + output * ChannelSlabs.lanes, scratch[0].tile.base, ChannelSlabs.lanes)
    }
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: lanes)
      forEachChunk(block) { tiles in
        multiply(image: image, &tiles, scratch)
        for output in 0..<outputs {
          let lane = output * ChannelSlabs.lanes
          kernels.winograd.gather_summed(
            block.slabs.at(firstSlab + output, pixel: image * block.plan.area),
            scratch.growthProducts + output * Winograd.slabPitch, Winograd.pitch(slabs: outputs), pivot + lane,
            scratch.sums.first + lane, scratch.sums.second + lane, &tiles)
        }
        sums.flush(scratch.sums, lanes: lanes, image: image)
      }
    }
    try take(
      block.statistics, from: firstSlab * ChannelSlabs.lanes, lanes: lanes.count, images: count, area: block.plan.area)
  }

  // MARK: Transitions and the head

  /// Average pool and 1×1 convolution commute: pooled first, the convolution has a quarter of the work.
  private func transition(_ block: Block, into next: Block, _ count: Int) throws(BackendError) {
    guard let convolution = block.convolution else { return }
    let (width, area) = (next.plan.width, next.plan.area)
    let (inputs, outputs) = (block.plan.slabs.count, convolution.packing.grid.outputs)
    let weights = pack(convolution)
    let row = next.plan.height / 2
    for slab in 0..<inputs {
      packPooled(
        block, slab: slab, image: 0, rows: row..<row + 1, width: width,
        into: scratch[0].tile.at(block.tileSegments[slab]))
    }
    for output in 0..<outputs.count {
      var pixel = ck_tile(
        pointwise: scratch[0].tile.at(width / 2 * ChannelSlabs.lanes), block.tileSegments, slabs: inputs,
        weights: weights, output: output,
        into: next.statistics.pivot + output * ChannelSlabs.lanes, pixels: 1)
      kernels.convolution.store_float(&pixel)
    }
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: 0..<outputs.lanes)
      (0..<next.plan.height).forEachBand(of: pooledRows(block, width: width, slabs: inputs)) { rows in
        for slab in 0..<inputs {
          packPooled(
            block, slab: slab, image: image, rows: rows, width: width,
            into: scratch.tile.at(block.tileSegments[slab]))
        }
        for output in 0..<outputs.count {
          let lane = output * ChannelSlabs.lanes
          var tile = ck_tile(
            pointwise: scratch.tile.base, block.tileSegments, slabs: inputs, weights: weights, output: output,
            into: next.slabs.at(output, pixel: image * area + rows.lowerBound * width), pixels: rows.count * width)
          kernels.convolution.store_summed(
            &tile, next.statistics.pivot + lane, scratch.sums.first + lane, scratch.sums.second + lane)
        }
        sums.flush(scratch.sums, lanes: 0..<outputs.lanes, image: image)
      }
    }
    try take(next.statistics, lanes: outputs.lanes, images: count, area: area)
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
            scratch.floats + lane, block.slabs.at(slab, pixel: image * block.plan.area),
            block.normalization.scale + lane,
            block.normalization.shift + lane, floor, block.plan.area)
        }
        block.plan.slabs.forEachChannel { channel, lane in
          pooled[image * channels + channel] = scratch.floats[lane] / Float(block.plan.area)
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
