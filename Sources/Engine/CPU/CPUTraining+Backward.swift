import CKernels

/// The way back. A layer's weight and data gradients are computed on the same tiles; the data gradient is gated and summed as it is
/// stored, and batch norm's own backward is owed (`BatchStatistics`) until the gradient is read.
extension CPUTraining {
  /// Adds the gradients of `count` images to those accumulated, from those of the logits, `[N, L]`.
  func backward(_ logitGradients: [Float], count: Int) throws(BackendError) {
    try head(logitGradients, count)
    for index in blocks.indices.reversed() {
      let block = blocks[index]
      if index + 1 < blocks.count { try transition(block, from: blocks[index + 1], count) }
      for layer in block.layers.indices.reversed() {
        try growth(block, layer, count)
        try bottleneck(block, layer, count)
      }
    }
    try stemGradients(count)
  }

  /// Calls `body` for each group of images, from all threads. Where there are more threads than groups, several share a group's
  /// slabs.
  func forEachGroup(
    _ count: Int, _ body: (_ group: Int, _ images: Range<Int>, _ share: Share, Scratch) -> Void
  ) -> Int {
    // Of no images one group, whose gradients are zero.
    let groups = max(1, min(count, Self.mostGroups))
    let members = max(1, team.threads / groups)
    let crews = min(groups, team.threads / members)
    team.run { part in
      let (crew, member) = part.quotientAndRemainder(dividingBy: members)
      guard crew < crews else { return }
      for group in Share(part: crew, parts: crews).range(groups) {
        body(
          group, Share(part: group, parts: groups).range(count), Share(part: member, parts: members), scratch[part])
      }
    }
    return groups
  }

  /// Adds the weight gradients of all groups to the flat ones.
  private func unpack(_ convolution: Convolution<some ConvolutionPacking>, groups: Int) {
    let gradient = gradients + convolution.weight.lowerBound
    team.run {
      convolution.packing.unpack(
        weightGradients, groups: groups, addingTo: gradient, Share(part: $0, parts: team.threads))
    }
  }

  /// What `statistics` is owed of lane `lane` and those behind it.
  func line(_ statistics: BatchStatistics, _ lane: Int) -> ck_line {
    ck_line(constant: statistics.constant + lane, slope: statistics.slope + lane)
  }

  /// The gate of one slab, from its lane `lane` on, behind `normalization` of x.
  func gate(
    _ x: UnsafeMutableRawPointer, _ statistics: BatchStatistics, _ normalization: TrainingNormalization, lane: Int,
    _ sums: ImageSums.Tile
  ) -> ck_gate {
    ck_gate(
      x: x, mean: statistics.mean + lane, scale: normalization.scale + lane, shift: normalization.shift + lane,
      sum: sums.first + lane, product: sums.second + lane)
  }

  /// The lanes of some slabs.
  private func lanes(_ slabs: Range<Int>) -> Range<Int> {
    slabs.lowerBound * ChannelSlabs.lanes..<slabs.upperBound * ChannelSlabs.lanes
  }

  // MARK: Head

  private func head(_ logitGradients: [Float], _ count: Int) throws(BackendError) {
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
        scratch.floats[lane] = sum / Float(block.plan.area)
      }
      sums.begin(image: image, lanes: 0..<slabs.lanes)
      for slab in 0..<slabs.count {
        let (lane, pixel) = (slab * ChannelSlabs.lanes, image * block.plan.area)
        var gate = gate(
          block.slabs.at(slab, pixel: pixel), block.statistics, block.normalization, lane: lane, scratch.sums)
        kernels.pooling.head_unpool(
          block.gradient.at(slab, pixel: pixel), scratch.floats + lane, floor, &gate, block.plan.area)
      }
      sums.flush(scratch.sums, lanes: 0..<slabs.lanes, image: image)
    }
    try takeGradients(block.normalization, block.statistics, images: count, area: block.plan.area)
  }

  // MARK: Dense layers

  /// Back through the 3×3 convolution and norm2's gate, to the bottleneck's gradient (but for what norm2 owes).
  private func growth(_ block: Block, _ index: Int, _ count: Int) throws(BackendError) {
    let (layer, area, firstSlab) = (block.layers[index], block.plan.area, block.plan.inputSlabs(of: index))
    let (inputs, outputs) = (block.plan.bottleneck.count, block.plan.growth.count)
    let (bottleneck, packing) = (layer.maps.bottleneckAgain, layer.convolution2.packing)
    if block.maps.isRecomputed { recomputeBottleneck(block, layer, count) }
    block.statistics.settle(from: firstSlab * ChannelSlabs.lanes, count: block.plan.growth.lanes)
    layer.statistics.forgetDebts()
    let weights = packTransposed(layer.convolution2)
    let groups = forEachGroup(count) { group, images, share, scratch in
      let slabs = share.range(inputs)
      let weightGradient = weightGradients + group * packing.size
      packing.zeroGradient(weightGradient, inputs: slabs)
      for image in images {
        sums.begin(image: image, lanes: lanes(slabs))
        forEachChunk(block) { tiles in
          transformBottleneck(block, layer, bottleneck, image: image, slabs: slabs, &tiles, scratch)
          /// Both transforms of the new slabs' gradients.
          func forEachOutput(
            _ body: (
              UnsafeMutableRawPointer, UnsafePointer<Float>, UnsafeRawPointer, UnsafePointer<ck_line>
            ) -> Void
          ) {
            for output in 0..<outputs {
              var owed = line(block.statistics, (firstSlab + output) * ChannelSlabs.lanes)
              body(
                scratch.growth.at(output * Winograd.slabPitch),
                block.gradient.at(firstSlab + output, pixel: image * area),
                block.slabs.at(firstSlab + output, pixel: image * area), &owed)
            }
          }
          let pitch = Winograd.pitch(slabs: outputs)
          forEachOutput { kernels.winograd.spread_resolved($0, pitch, $1, $2, $3, &tiles) }
          winograd.accumulate(
            scratch.bottleneck, slabs: inputs, slabs, scratch.growth, slabs: outputs, into: weightGradient,
            tiles: tiles.count, fetching: Winograd.next(tiles, bottleneck, from: image * area, slabs: inputs))
          forEachOutput { kernels.winograd.transform_resolved($0, pitch, $1, $2, $3, &tiles) }
          winograd.multiply(
            scratch.growth, slabs: outputs, by: weights, into: scratch.bottleneckProducts, slabs: inputs, slabs,
            tiles: tiles.count,
            fetching: Winograd.own(tiles, layer.maps.bottleneckGradient, from: image * area, slabs: inputs))
          for input in slabs {
            let lane = input * ChannelSlabs.lanes
            var gate = gate(
              bottleneck.at(input, pixel: image * area), layer.statistics, layer.normalization2, lane: lane,
              scratch.sums)
            kernels.winograd.gather_gated(
              layer.maps.bottleneckGradient.at(input, pixel: image * area),
              scratch.bottleneckProducts + input * Winograd.slabPitch, Winograd.pitch(slabs: inputs), &gate, &tiles)
          }
          sums.flush(scratch.sums, lanes: lanes(slabs), image: image)
        }
      }
    }
    unpack(layer.convolution2, groups: groups)
    try takeGradients(layer.normalization2, layer.statistics, images: count, area: area)
  }

  /// Back from the bottleneck's gradient through the 1×1 convolution and norm1's gate, onto the gradients of all slabs that the layer
  /// read.
  private func bottleneck(_ block: Block, _ index: Int, _ count: Int) throws(BackendError) {
    let (layer, area) = (block.layers[index], block.plan.area)
    let (inputs, outputs) = (block.plan.inputSlabs(of: index), block.plan.bottleneck.count)
    let (packing, normalization) = (layer.convolution1.packing, layer.normalization1)
    layer.statistics.settle(from: 0, count: layer.statistics.lanes)
    let weights = packTransposed(layer.convolution1)
    let groups = forEachGroup(count) { group, images, share, scratch in
      let slabs = share.range(inputs)
      let weightGradient = weightGradients + group * packing.size
      packing.zeroGradient(weightGradient, inputs: slabs)
      for image in images {
        sums.begin(image: image, lanes: lanes(slabs))
        (0..<area).forEachBand(of: CPUPlan.tilePixels(slabs: outputs)) { pixels in
          let pixel = image * area + pixels.lowerBound
          for output in 0..<outputs {
            var owed = line(layer.statistics, output * ChannelSlabs.lanes)
            let gradient = scratch.gradient.at(block.tileSegments[output])
            kernels.packing.resolve(
              gradient, layer.maps.bottleneckGradient.at(output, pixel: pixel),
              layer.maps.bottleneckAgain.at(output, pixel: pixel), &owed, pixels.count)
            kernels.packing.pair_pixels(scratch.paired.at(block.tileSegments[output]), gradient, pixels.count)
          }
          for input in slabs {
            let (lane, x) = (input * ChannelSlabs.lanes, block.slabs.at(input, pixel: pixel))
            kernels.packing.normalize(
              scratch.tile.base, x, normalization.scale + lane, normalization.shift + lane, pixels.count)
            // What the next slab reads and adds to, or the next tile's first one.
            let (slab, at) =
              input + 1 < slabs.upperBound ? (input + 1, pixel) : (slabs.lowerBound, pixel + pixels.count)
            let (nextX, size) = (block.slabs.at(slab, pixel: at), pixels.count * block.slabs.pixelSize)
            let nextGradient = UnsafeMutableRawPointer(block.gradient.at(slab, pixel: at))
            outerProducts(
              block, packing, weightGradient, input: input, scratch, pixels.count,
              fetching: Self.fetch(
                nextX, size, and: nextGradient, pixels.count * ChannelSlabs.lanes * MemoryLayout<Float>.size))
            var tile = ck_tile(
              pointwise: scratch.gradient.base, block.tileSegments, slabs: outputs, weights: weights, output: input,
              into: block.gradient.at(input, pixel: pixel), pixels: pixels.count,
              fetching: nextTile(layer, pixel: pixel + pixels.count, pixels: pixels.count, input, of: slabs))
            var gate = gate(x, block.statistics, normalization, lane: lane, scratch.sums)
            kernels.convolution.accumulate_gated(&tile, &gate)
          }
          sums.flush(scratch.sums, lanes: lanes(slabs), image: image)
        }
      }
    }
    unpack(layer.convolution1, groups: groups)
    try takeGradients(normalization, block.statistics, images: count, area: area)
  }

  /// A share of the bottleneck's gradient and values in the next tile, for input slab `input` of `slabs` to bring near.
  private func nextTile(
    _ layer: Layer, pixel: Int, pixels: Int, _ input: Int, of slabs: Range<Int>
  ) -> ck_fetch {
    let (index, half) = (input - slabs.lowerBound, (slabs.count + 1) / 2)
    let outputs = layer.convolution2.packing.grid.inputs.count
    return index < half
      ? ck_fetch(layer.maps.bottleneckGradient, pixel: pixel, pixels: pixels, slabs: outputs).part(index, of: half)
      : ck_fetch(layer.maps.bottleneckAgain, pixel: pixel, pixels: pixels, slabs: outputs)
        .part(index - half, of: slabs.count - half)
  }

  /// Two pieces, the longer of their lengths of each.
  private static func fetch(
    _ first: UnsafeMutableRawPointer, _ firstSize: Int, and second: UnsafeMutableRawPointer, _ secondSize: Int
  ) -> ck_fetch {
    ck_fetch(first, bytes: max(firstSize, secondSize), pieces: 2, pitch: second - first)
  }

  /// The weight gradients of input slab `input` of a 1×1 convolution, for all its output slabs, over one tile, whose activations become
  /// pairs.
  private func outerProducts(
    _ block: Block, _ packing: WeightPacking, _ weightGradient: UnsafeMutablePointer<Float>, input: Int,
    _ scratch: Scratch, _ pixels: Int, fetching fetch: ck_fetch
  ) {
    let words = precision.valuesOfWord
    kernels.packing.pair_pixels(scratch.tile.base, scratch.tile.base, pixels)
    for output in 0..<packing.grid.outputs.count {
      var product = ck_outer_product(
        input: scratch.tile.base, input_pitch: 0, stride: ChannelSlabs.lanes, depth: ChannelSlabs.lanes,
        gradient: scratch.paired.at(block.tileSegments[output]), gradient_pitch: 0, rows: 1,
        width: (pixels + words - 1) / words,
        weights: weightGradient + packing.gradientBlock(input: input, output: output),
        fetch: fetch.part(output, of: packing.grid.outputs.count))
      kernels.accumulate_outer_product(&product)
    }
  }

  // MARK: Transitions

  /// Back through the convolution, the pool and the gate, onto the gradients of all the block's slabs, which begin here.
  private func transition(_ block: Block, from next: Block, _ count: Int) throws(BackendError) {
    guard let convolution = block.convolution else { return }
    let (packing, width) = (convolution.packing, next.plan.width)
    let (inputs, outputs) = (block.plan.slabs.count, packing.grid.outputs)
    next.statistics.settle(from: 0, count: outputs.lanes)
    block.statistics.forgetDebts()
    let rowsOfTile = pooledRows(block, width: width, slabs: outputs.count)
    let weights = packTransposed(convolution)
    let groups = forEachGroup(count) { group, images, share, scratch in
      let slabs = share.range(inputs)
      let weightGradient = weightGradients + group * packing.size
      packing.zeroGradient(weightGradient, inputs: slabs)
      for image in images {
        sums.begin(image: image, lanes: lanes(slabs))
        (0..<next.plan.height).forEachBand(of: rowsOfTile) { rows in
          let (pixel, pixels) = (image * next.plan.area + rows.lowerBound * width, rows.count * width)
          for output in 0..<outputs.count {
            var owed = line(next.statistics, output * ChannelSlabs.lanes)
            let gradient = scratch.gradient.at(block.tileSegments[output])
            kernels.packing.resolve_float(
              gradient, next.gradient.at(output, pixel: pixel), next.slabs.at(output, pixel: pixel), &owed, pixels)
            kernels.packing.pair_pixels(scratch.paired.at(block.tileSegments[output]), gradient, pixels)
          }
          for input in slabs {
            let lane = input * ChannelSlabs.lanes
            packPooled(block, slab: input, image: image, rows: rows, width: width, into: scratch.tile.base)
            let source = image * block.plan.area + 2 * rows.lowerBound * block.plan.width
            // What comes next: the next slab's values, and the gradients that this one's are stored as.
            let (nextX, out) = (block.slabs.at(input + 1, pixel: source), block.gradient.at(input, pixel: source))
            let size = 2 * rows.count * block.plan.width * ChannelSlabs.lanes
            outerProducts(
              block, packing, weightGradient, input: input, scratch, pixels,
              fetching: Self.fetch(nextX, size * precision.size, and: out, size * MemoryLayout<Float>.size))
            var tile = ck_tile(
              pointwise: scratch.gradient.base, block.tileSegments, slabs: outputs.count, weights: weights,
              output: input, into: scratch.floats, pixels: pixels)
            kernels.convolution.store_float(&tile)
            var gate = gate(
              block.slabs.at(input, pixel: source), block.statistics, block.normalization, lane: lane, scratch.sums)
            kernels.pooling.average_unpool(out, scratch.floats, &gate, rows.count, width, block.plan.width)
          }
          sums.flush(scratch.sums, lanes: lanes(slabs), image: image)
        }
        // An odd last row is in no pool.
        let seen = 2 * next.plan.height * block.plan.width
        for slab in slabs {
          block.gradient.at(slab, pixel: image * block.plan.area + seen).update(
            repeating: 0, count: (block.plan.area - seen) * ChannelSlabs.lanes)
        }
      }
    }
    unpack(convolution, groups: groups)
    try takeGradients(block.normalization, block.statistics, images: count, area: block.plan.area)
  }
}
