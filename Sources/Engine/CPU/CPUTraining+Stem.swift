import CKernels

/// The way back through the stem: the pool's and the first batch norm's gradients, then the weight gradient of the 7×7 convolution. No
/// gradient of the images is made.
extension CPUTraining {
  func stemGradients(_ count: Int) throws(BackendError) {
    let (block, shape, output) = (blocks[0], fused.stem.convolved, fused.stem.output)
    let (lanes, normalization) = (stemSlabs.lanes, stemNormalization)
    block.statistics.settle(from: 0, count: lanes)
    stemStatistics.forgetDebts()
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: 0..<lanes)
      for slab in 0..<stemSlabs.count {
        let (lane, pixel, pooledPixel) = (slab * ChannelSlabs.lanes, image * shape.area, image * output.area)
        var owed = line(block.statistics, lane)
        let pooled = block.slabs.at(slab, pixel: pooledPixel)
        kernels.packing.resolve_float(
          scratch.gradient.base, block.gradient.at(slab, pixel: pooledPixel), pooled, &owed, output.area)
        kernels.pooling.max_unpool(
          convolvedGradient.at(slab, pixel: pixel), convolved.at(slab, pixel: pixel), pooled, scratch.gradient.base,
          normalization.scale + lane, normalization.shift + lane, shape.height, shape.width)
        (0..<shape.height).forEachBand(of: stemBand) { rows in
          let start = pixel + rows.lowerBound * shape.width
          var gate = gate(
            convolved.at(slab, pixel: start), stemStatistics, normalization, lane: lane, scratch.sums)
          kernels.pooling.scale_summed(convolvedGradient.at(slab, pixel: start), &gate, rows.count * shape.width)
          sums.flush(scratch.sums, lanes: lane..<lane + ChannelSlabs.lanes, image: image)
        }
      }
    }
    try takeGradients(normalization, stemStatistics, images: count, area: shape.area)
    stemStatistics.settle(from: 0, count: lanes)
    stemWeightGradient(count)
  }

  private func stemWeightGradient(_ count: Int) {
    let (shape, channels) = (fused.stem.convolved, fused.stem.image.channels)
    let (depth, words) = (fused.weightGradientDepth, precision.valuesOfWord)
    let packing = StemPacking(packing: kernels.packing, channels: channels, outputs: stemSlabs, depth: depth)
    /// Words of a row of gradients, and of a row of an image.
    let (steps, rowPitch) = ((shape.width + words - 1) / words, stemRowPitch)
    let groups = forEachGroup(count) { group, members, share, scratch in
      let (slabs, slabSize) = (share.range(stemSlabs.count), 7 * depth * ChannelSlabs.lanes)
      let weightGradient = weightGradients + group * packing.size
      (weightGradient + slabs.lowerBound * slabSize).update(repeating: 0, count: slabs.count * slabSize)
      for image in members {
        let padded = images + image * fused.paddedImageSize
        (0..<shape.height).forEachBand(of: stemBand) { rows in
          let input = stemPairs(padded, rows, scratch)
          for slab in slabs {
            let pixel = image * shape.area + rows.lowerBound * shape.width
            var owed = line(stemStatistics, slab * ChannelSlabs.lanes)
            kernels.packing.resolve(
              scratch.gradient.base, convolvedGradient.at(slab, pixel: pixel), convolved.at(slab, pixel: pixel), &owed,
              rows.count * shape.width)
            for row in 0..<rows.count {
              kernels.packing.pair_pixels(
                scratch.paired.at(row * steps * words * ChannelSlabs.lanes),
                scratch.gradient.at(row * shape.width * ChannelSlabs.lanes), shape.width)
            }
            for row in 0..<7 {
              var product = ck_outer_product(
                input: input.at(row * rowPitch * words), input_pitch: 2 * rowPitch, stride: 2 * channels * words,
                depth: depth, gradient: scratch.paired.base, gradient_pitch: steps * ChannelSlabs.lanes,
                rows: rows.count, width: steps,
                weights: weightGradient + slab * slabSize + row * depth * ChannelSlabs.lanes, fetch: .none)
              kernels.accumulate_outer_product(&product)
            }
          }
        }
      }
    }
    packing.unpack(weightGradients, groups: groups, addingTo: gradients + fused.stem.convolution.weight.lowerBound)
  }

  /// The rows of an image that `rows` of the stem's convolution see, `stemRowPitch` words apart. In pairs each value stands beside the one
  /// that the next output pixel sees in its place.
  private func stemPairs(_ padded: Activations, _ rows: Range<Int>, _ scratch: Scratch) -> Activations {
    let (pitch, distance) = (fused.paddedImagePitch, 2 * fused.stem.image.channels)
    let first = padded + 2 * rows.lowerBound * pitch
    guard precision.valuesOfWord > 1 else { return first }
    for row in 0..<2 * rows.count + 5 {
      kernels.packing.pair(
        scratch.tile.at(row * stemRowPitch * 2), first.at(row * pitch), first.at(row * pitch + distance), stemRowPitch)
    }
    return scratch.tile
  }
}
