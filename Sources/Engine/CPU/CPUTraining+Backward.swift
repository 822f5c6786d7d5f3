import CKernels

/// The way back. A layer's weight and data gradients are computed on the same tiles; the data gradient is gated and summed as it is
/// stored, and batch norm's own backward is owed (`BatchStatistics`) until the gradient is read.
extension CPUTraining {
  /// Adds the gradients of `count` images to those accumulated, from those of the logits, `[N, L]`.
  func backward(_ logitGradients: [Float], count: Int) {
    head(logitGradients, count)
    for index in blocks.indices.reversed() {
      let block = blocks[index]
      if index + 1 < blocks.count { transition(block, from: blocks[index + 1], count) }
      for layer in block.layers.indices.reversed() {
        growth(block, layer, count)
        bottleneck(block, layer, count)
      }
    }
    stem(count)
  }

  /// Calls `body` for each group of images, from all threads.
  private func forEachGroup(
    _ count: Int, _ body: (_ group: Int, _ images: Range<Int>, Scratch) -> Void
  ) -> Int {
    let groups = min(count, Self.mostGroups)
    forEachImage(groups) { group, scratch in
      body(group, (count * group / groups)..<(count * (group + 1) / groups), scratch)
    }
    return groups
  }

  private func takeGradients(
    _ normalization: TrainingNormalization, _ statistics: BatchStatistics, images count: Int, pixels: Int
  ) {
    normalization.takeGradients(
      sums.total(lanes: normalization.prefix * ChannelSlabs.lanes, images: count), statistics, pixels: pixels,
      epsilon: plan.architecture.batchNormEpsilon, values: values, gradients: gradients)
  }

  /// What `statistics` is owed of lane `lane` and those behind it.
  private func line(_ statistics: BatchStatistics, _ lane: Int) -> ck_line {
    ck_line(constant: statistics.constant + lane, slope: statistics.slope + lane)
  }

  private func zeroWeightGradients(_ group: Int, size: Int) -> UnsafeMutablePointer<Float> {
    let blocks = weightGradients + group * size
    blocks.update(repeating: 0, count: size)
    return blocks
  }

  // MARK: Head

  private func head(_ logitGradients: [Float], _ count: Int) {
    let block = blocks[blocks.count - 1]
    let (head, slabs) = (fused.head, block.plan.slabs)
    let (channels, classes) = (head.input.channels, head.classCount)
    for image in 0..<count {
      for label in 0..<classes {
        let gradient = logitGradients[image * classes + label]
        gradients[head.classifierBias.lowerBound + label] += gradient
        let row = gradients + head.classifierWeight.lowerBound + label * channels
        for channel in 0..<channels { row[channel] += gradient * pooled[image * channels + channel] }
      }
    }
    block.statistics.forgetDebts()
    let weights = values + head.classifierWeight.lowerBound
    forEachImage(count) { image, scratch in
      // The gradient of each pixel of a channel is that of its mean, shared out.
      slabs.forEachChannel { channel, lane in
        var sum: Float = 0
        for label in 0..<classes {
          sum += logitGradients[image * classes + label] * weights[label * channels + channel]
        }
        scratch.gradient[lane] = sum / Float(block.plan.area)
      }
      sums.begin(image: image, lanes: slabs.lanes)
      for slab in 0..<slabs.count {
        let (lane, pixel) = (slab * ChannelSlabs.lanes, image * block.plan.area)
        var gate = ck_gate(
          activation: block.slabs.at(slab, pixel: pixel), activation_pitch: 0, x: block.slabs.at(slab, pixel: pixel),
          mean: block.statistics.mean + lane, scale: block.normalization.scale + lane, sum: scratch.sums + lane,
          product: scratch.sums + slabs.lanes + lane)
        kernels.pooling.head_unpool(
          block.gradient.at(slab, pixel: pixel), scratch.gradient + lane, block.normalization.shift + lane, floor,
          &gate, block.plan.area)
      }
      sums.flush(scratch.sums, lanes: slabs.lanes, image: image)
    }
    takeGradients(block.normalization, block.statistics, images: count, pixels: count * block.plan.area)
  }

  // MARK: Dense layers

  /// Back through the 3×3 convolution and norm2's gate, to `bottleneckGradient` (but for what norm2 owes).
  private func growth(_ block: Block, _ index: Int, _ count: Int) {
    let (layer, width, area) = (block.layers[index], block.plan.width, block.plan.area)
    let (pitch, halo) = ((width + 2) * ChannelSlabs.lanes, haloSize(block))
    let (inputs, outputs) = (block.plan.bottleneck.count, block.plan.growth.count)
    let (firstSlab, lanes) = (block.plan.inputSlabs(of: index), block.plan.bottleneck.lanes)
    let packing = layer.convolution2.packing
    let out = SlabMap(base: bottleneckGradient, pixels: layer.bottleneck.pixels)
    block.statistics.settle(from: firstSlab * ChannelSlabs.lanes, count: block.plan.growth.lanes)
    layer.statistics.forgetDebts()
    let taps = taps(block, slabs: outputs)
    let groups = forEachGroup(count) { group, images, scratch in
      let weightGradient = zeroWeightGradients(group, size: packing.size)
      for image in images {
        sums.begin(image: image, lanes: lanes)
        (0..<block.plan.height).forEachBand(of: block.haloRows) { rows in
          packHalo(block, layer, image: image, rows: rows, scratch.tile)
          var band = ck_band(height: block.plan.height, width: width, first: rows.lowerBound, rows: rows.count)
          for output in 0..<outputs {
            var owed = line(block.statistics, (firstSlab + output) * ChannelSlabs.lanes)
            kernels.packing.resolve_halo(
              scratch.gradient + output * halo, block.gradient.at(firstSlab + output, pixel: image * area),
              block.slabs.at(firstSlab + output, pixel: image * area), &owed, &band)
          }
          let inside = pitch + ChannelSlabs.lanes
          for input in 0..<inputs {
            for tap in 0..<9 {
              for output in 0..<outputs {
                var product = ck_outer_product(
                  input: scratch.tile + input * halo + tap / 3 * pitch + tap % 3 * ChannelSlabs.lanes,
                  input_pitch: pitch, stride: ChannelSlabs.lanes, depth: ChannelSlabs.lanes,
                  gradient: scratch.gradient + output * halo + inside, gradient_pitch: pitch, rows: rows.count,
                  width: width,
                  weights: weightGradient + packing.gradientBlock(input: input, output: output, tap: tap))
                kernels.accumulate_outer_product(&product)
              }
            }
          }
          for input in 0..<inputs {
            let (lane, pixel) = (input * ChannelSlabs.lanes, image * area + rows.lowerBound * width)
            taps.withUnsafeBufferPointer { taps in
              guard let taps = taps.baseAddress else { return }
              var tile = ck_tile(
                input: scratch.gradient, segment: taps, segments: 9 * outputs, depth: ChannelSlabs.lanes,
                stride: ChannelSlabs.lanes, input_pitch: pitch,
                weights: layer.convolution2.backward + input * 9 * outputs * ChannelSlabs.lanes * ChannelSlabs.lanes,
                output: out.at(input, pixel: pixel), output_pitch: width * ChannelSlabs.lanes, rows: rows.count,
                width: width)
              var gate = ck_gate(
                activation: scratch.tile + input * halo + inside, activation_pitch: pitch,
                x: layer.bottleneck.at(input, pixel: pixel), mean: layer.statistics.mean + lane,
                scale: layer.normalization2.scale + lane, sum: scratch.sums + lane,
                product: scratch.sums + lanes + lane)
              kernels.convolution.store_gated(&tile, &gate)
            }
          }
          sums.flush(scratch.sums, lanes: lanes, image: image)
        }
      }
    }
    packing.unpack(weightGradients, groups: groups, addingTo: gradients + layer.convolution2.range.lowerBound)
    takeGradients(layer.normalization2, layer.statistics, images: count, pixels: count * area)
  }

  /// Back from `bottleneckGradient` through the 1×1 convolution and norm1's gate, onto the gradients of all slabs that the layer read.
  private func bottleneck(_ block: Block, _ index: Int, _ count: Int) {
    let (layer, width, area) = (block.layers[index], block.plan.width, block.plan.area)
    let (inputs, outputs) = (block.plan.inputSlabs(of: index), block.plan.bottleneck.count)
    let lanes = inputs * ChannelSlabs.lanes
    let (packing, normalization) = (layer.convolution1.packing, layer.normalization1)
    let gradient = SlabMap(base: bottleneckGradient, pixels: layer.bottleneck.pixels)
    layer.statistics.settle(from: 0, count: layer.statistics.lanes)
    let groups = forEachGroup(count) { group, images, scratch in
      let weightGradient = zeroWeightGradients(group, size: packing.size)
      for image in images {
        sums.begin(image: image, lanes: lanes)
        (0..<block.plan.height).forEachBand(of: CPUPlan.bandRows(width: width, slabs: outputs)) { rows in
          let (pixel, pixels) = (image * area + rows.lowerBound * width, rows.count * width)
          for output in 0..<outputs {
            var owed = line(layer.statistics, output * ChannelSlabs.lanes)
            kernels.packing.resolve(
              scratch.gradient + block.tileSegments[output], gradient.at(output, pixel: pixel),
              layer.bottleneck.at(output, pixel: pixel), &owed, pixels)
          }
          for input in 0..<inputs {
            let (lane, x) = (input * ChannelSlabs.lanes, block.slabs.at(input, pixel: pixel))
            kernels.packing.normalize(scratch.tile, x, normalization.scale + lane, normalization.shift + lane, pixels)
            outerProducts(block, packing, weightGradient, input: input, scratch.tile, scratch.gradient, pixels)
            var tile = pointwise(
              block, scratch.gradient, slabs: outputs, weights: layer.convolution1.backward, output: input,
              into: block.gradient.at(input, pixel: pixel), pixels: pixels)
            var gate = ck_gate(
              activation: scratch.tile, activation_pitch: 0, x: x, mean: block.statistics.mean + lane,
              scale: normalization.scale + lane, sum: scratch.sums + lane, product: scratch.sums + lanes + lane)
            kernels.convolution.accumulate_gated(&tile, &gate)
          }
          sums.flush(scratch.sums, lanes: lanes, image: image)
        }
      }
    }
    packing.unpack(weightGradients, groups: groups, addingTo: gradients + layer.convolution1.range.lowerBound)
    takeGradients(normalization, block.statistics, images: count, pixels: count * area)
  }

  /// The weight gradients of input slab `input` of a 1×1 convolution, for all its output slabs, over one tile.
  private func outerProducts(
    _ block: Block, _ packing: WeightPacking, _ weightGradient: UnsafeMutablePointer<Float>, input: Int,
    _ activations: UnsafeMutablePointer<Float>, _ gradient: UnsafeMutablePointer<Float>, _ pixels: Int
  ) {
    for output in 0..<packing.outputs.count {
      var product = ck_outer_product(
        input: activations, input_pitch: 0, stride: ChannelSlabs.lanes, depth: ChannelSlabs.lanes,
        gradient: gradient + block.tileSegments[output], gradient_pitch: 0, rows: 1, width: pixels,
        weights: weightGradient + packing.gradientBlock(input: input, output: output, tap: 0))
      kernels.accumulate_outer_product(&product)
    }
  }

  // MARK: Transitions

  /// Back through the convolution, the pool and the gate, onto the gradients of all the block's slabs, which begin here.
  private func transition(_ block: Block, from next: Block, _ count: Int) {
    guard let convolution = block.convolution else { return }
    let packing = convolution.packing
    let (width, lanes) = (next.plan.width, block.plan.slabs.lanes)
    next.statistics.settle(from: 0, count: packing.outputs.lanes)
    block.statistics.forgetDebts()
    let rowsOfTile = pooledRows(block, width: width, slabs: packing.outputs.count)
    let groups = forEachGroup(count) { group, images, scratch in
      let weightGradient = zeroWeightGradients(group, size: packing.size)
      for image in images {
        sums.begin(image: image, lanes: lanes)
        (0..<next.plan.height).forEachBand(of: rowsOfTile) { rows in
          let (pixel, pixels) = (image * next.plan.area + rows.lowerBound * width, rows.count * width)
          for output in 0..<packing.outputs.count {
            var owed = line(next.statistics, output * ChannelSlabs.lanes)
            kernels.packing.resolve(
              scratch.gradient + block.tileSegments[output], next.gradient.at(output, pixel: pixel),
              next.slabs.at(output, pixel: pixel), &owed, pixels)
          }
          for input in 0..<block.plan.slabs.count {
            let lane = input * ChannelSlabs.lanes
            packPooled(block, slab: input, image: image, rows: rows, width: width, into: scratch.tile)
            outerProducts(block, packing, weightGradient, input: input, scratch.tile, scratch.gradient, pixels)
            var tile = pointwise(
              block, scratch.gradient, slabs: packing.outputs.count, weights: convolution.backward, output: input,
              into: scratch.slab, pixels: pixels)
            kernels.convolution.store(&tile)
            let source = image * block.plan.area + 2 * rows.lowerBound * block.plan.width
            var gate = ck_gate(
              activation: scratch.tile, activation_pitch: 0, x: block.slabs.at(input, pixel: source),
              mean: block.statistics.mean + lane, scale: block.normalization.scale + lane, sum: scratch.sums + lane,
              product: scratch.sums + lanes + lane)
            kernels.pooling.average_unpool(
              block.gradient.at(input, pixel: source), scratch.slab, block.normalization.shift + lane, &gate,
              rows.count, width, block.plan.width)
          }
          sums.flush(scratch.sums, lanes: lanes, image: image)
        }
        // An odd last row is in no pool.
        let seen = 2 * next.plan.height * block.plan.width
        for slab in 0..<block.plan.slabs.count {
          block.gradient.at(slab, pixel: image * block.plan.area + seen).update(
            repeating: 0, count: (block.plan.area - seen) * ChannelSlabs.lanes)
        }
      }
    }
    packing.unpack(weightGradients, groups: groups, addingTo: gradients + convolution.range.lowerBound)
    takeGradients(block.normalization, block.statistics, images: count, pixels: count * block.plan.area)
  }

  // MARK: Stem

  private func stem(_ count: Int) {
    let (block, shape, output) = (blocks[0], fused.stem.convolved, fused.stem.output)
    let (lanes, normalization) = (stemSlabs.lanes, stemNormalization)
    block.statistics.settle(from: 0, count: lanes)
    stemStatistics.forgetDebts()
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: lanes)
      for slab in 0..<stemSlabs.count {
        let (lane, pixel, pooledPixel) = (slab * ChannelSlabs.lanes, image * shape.area, image * output.area)
        var owed = line(block.statistics, lane)
        let pooled = block.slabs.at(slab, pixel: pooledPixel)
        kernels.packing.resolve(
          scratch.gradient, block.gradient.at(slab, pixel: pooledPixel), pooled, &owed, output.area)
        kernels.pooling.max_unpool(
          convolvedGradient.at(slab, pixel: pixel), convolved.at(slab, pixel: pixel), pooled, scratch.gradient,
          normalization.scale + lane, normalization.shift + lane, shape.height, shape.width)
        (0..<shape.height).forEachBand(of: stemBand) { rows in
          let start = pixel + rows.lowerBound * shape.width
          var gate = ck_gate(
            activation: convolved.at(slab, pixel: start), activation_pitch: 0, x: convolved.at(slab, pixel: start),
            mean: stemStatistics.mean + lane, scale: normalization.scale + lane, sum: scratch.sums + lane,
            product: scratch.sums + lanes + lane)
          kernels.pooling.scale_summed(convolvedGradient.at(slab, pixel: start), &gate, rows.count * shape.width)
          sums.flush(scratch.sums, lanes: lanes, image: image)
        }
      }
    }
    takeGradients(normalization, stemStatistics, images: count, pixels: count * shape.area)
    stemStatistics.settle(from: 0, count: lanes)
    stemWeightGradient(count)
  }

  private func stemWeightGradient(_ count: Int) {
    let (shape, channels, pitch) = (fused.stem.convolved, fused.stem.image.channels, fused.paddedImagePitch)
    let depth = fused.weightGradientDepth
    let packing = StemPacking(packing: kernels.packing, channels: channels, outputs: stemSlabs, depth: depth)
    let groups = forEachGroup(count) { group, members, scratch in
      let weightGradient = zeroWeightGradients(group, size: packing.size)
      for image in members {
        let padded = images + image * fused.paddedImageSize
        (0..<shape.height).forEachBand(of: stemBand) { rows in
          for slab in 0..<stemSlabs.count {
            let pixel = image * shape.area + rows.lowerBound * shape.width
            var owed = line(stemStatistics, slab * ChannelSlabs.lanes)
            kernels.packing.resolve(
              scratch.gradient, convolvedGradient.at(slab, pixel: pixel), convolved.at(slab, pixel: pixel), &owed,
              rows.count * shape.width)
            for row in 0..<7 {
              var product = ck_outer_product(
                input: padded + (2 * rows.lowerBound + row) * pitch, input_pitch: 2 * pitch, stride: 2 * channels,
                depth: depth, gradient: scratch.gradient, gradient_pitch: shape.width * ChannelSlabs.lanes,
                rows: rows.count, width: shape.width,
                weights: weightGradient + (slab * 7 + row) * depth * ChannelSlabs.lanes)
              kernels.accumulate_outer_product(&product)
            }
          }
        }
      }
    }
    packing.unpack(weightGradients, groups: groups, addingTo: gradients + fused.stem.convolution.weight.lowerBound)
  }
}
