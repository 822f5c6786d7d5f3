import Platform

/// The network's weights as inference reads them: batch norms folded into scales, shifts and the convolutions before them.
extension CPUInference {
  func packing1(_ block: CPUPlan.Block, _ layer: Int) -> WeightPacking {
    WeightPacking(
      packing: kernels.packing, inputs: block.slabs, inputSlabs: block.inputSlabs(of: layer),
      outputs: block.bottleneck)
  }

  func packing2(_ block: CPUPlan.Block) -> WinogradPacking {
    WinogradPacking(kernels: kernels, inputs: block.bottleneck, outputs: block.growth)
  }

  func packing(_ transition: Transition, _ block: CPUPlan.Block) -> WeightPacking {
    WeightPacking(
      packing: kernels.packing, inputs: block.slabs, inputSlabs: block.slabs.count,
      outputs: ChannelSlabs(transition.output.channels))
  }

  /// Folds and packs the flat buffer.
  func load(_ values: [Float]) {
    let epsilon = layout.architecture.batchNormEpsilon
    /// s and t of a batch norm by its running statistics, in Double.
    func affine(_ parameters: NormalizationParameters, _ channel: Int) -> (scale: Double, shift: Double) {
      let scale =
        Double(values[parameters.scale.lowerBound + channel])
        / (Double(values[parameters.runningVariance.lowerBound + channel]) + epsilon).squareRoot()
      return (
        scale,
        Double(values[parameters.shift.lowerBound + channel])
          - Double(values[parameters.runningMean.lowerBound + channel]) * scale
      )
    }
    func fold(
      _ parameters: NormalizationParameters, _ slabs: ChannelSlabs, prefix: Int? = nil,
      _ scales: UnsafeMutablePointer<Float>, _ shifts: UnsafeMutablePointer<Float>
    ) {
      slabs.forEachChannel(prefix: prefix) { channel, lane in
        let (scale, shift) = affine(parameters, channel)
        scales[lane] = Float(scale)
        shifts[lane] = Float(shift)
      }
    }
    values.withUnsafeBufferPointer { values in
      let weights = SharedConstPointer(values)
      StemPacking(
        packing: kernels.packing, channels: plan.stem.image.channels, outputs: stemSlabs, depth: plan.stemDepth
      ).pack(weights + plan.stem.convolution.weight.lowerBound, into: stemWeights)
      fold(plan.stem.normalization, stemSlabs, stemScale, stemShift)
      for block in blocks {
        for (index, (layer, parameters)) in zip(block.layers, block.plan.layers).enumerated() {
          fold(
            parameters.normalization1, block.plan.slabs, prefix: block.plan.inputSlabs(of: index), layer.scale,
            layer.shift)
          let channels = parameters.input.channels
          var scaled = [Float](values[parameters.convolution1.weight])
          block.plan.bottleneck.forEachChannel { channel, lane in
            let (scale, shift) = affine(parameters.normalization2, channel)
            for input in channel * channels..<(channel + 1) * channels {
              scaled[input] = Float(Double(scaled[input]) * scale)
            }
            layer.bias[lane] = Float(shift)
          }
          packing1(block.plan, index).pack(scaled, into: layer.weights1, .whole)
          packing2(block.plan).pack(weights + parameters.convolution2.weight.lowerBound, into: layer.weights2, .whole)
        }
        if let transition = block.plan.transition {
          fold(transition.normalization, block.plan.slabs, block.scale, block.shift)
          packing(transition, block.plan).pack(
            weights + transition.convolution.weight.lowerBound, into: block.weights, .whole)
        } else {
          fold(plan.head.normalization, block.plan.slabs, block.scale, block.shift)
        }
      }
    }
    classifier = Array(values[plan.head.classifierWeight])
    classifierBias = Array(values[plan.head.classifierBias])
  }
}
