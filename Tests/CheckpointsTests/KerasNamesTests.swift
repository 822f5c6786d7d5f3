import Engine
import Testing

@testable import Checkpoints

@Suite struct KerasNamesTests {
  @Test(arguments: DenseNetArchitecture.named.map(\.name))
  func `every module has one layer, and the layer that module`(name: String) throws {
    let layout = ParameterLayout(try #require(DenseNetArchitecture(parsing: name, classCount: 14)))
    let modules = Set(
      layout.parameters.map { String($0.name.prefix(upTo: $0.name.lastIndex(of: ".") ?? $0.name.endIndex)) })
    let layers = modules.compactMap(KerasNames.layer)
    #expect(layers.count == modules.count)
    #expect(Set(layers).count == modules.count)
    for module in modules { #expect(KerasNames.layer(of: module).flatMap(KerasNames.module) == module) }
  }

  @Test(arguments: [
    ("conv1_conv", "features.conv0"), ("conv1_bn", "features.norm0"), ("bn", "features.norm5"),
    ("conv2_block1_0_bn", "features.denseblock1.denselayer1.norm1"),
    ("conv3_block12_1_conv", "features.denseblock2.denselayer12.conv1"),
    ("conv4_block24_1_bn", "features.denseblock3.denselayer24.norm2"),
    ("conv5_block16_2_conv", "features.denseblock4.denselayer16.conv2"), ("pool2_bn", "features.transition1.norm"),
    ("pool4_conv", "features.transition3.conv"), ("predictions", "classifier"),
  ])
  func `the names are Keras 3's`(layer: String, module: String) {
    #expect(KerasNames.module(of: layer) == module)
    #expect(KerasNames.layer(of: module) == layer)
  }

  @Test(arguments: [("conv1/conv", "features.conv0"), ("conv1/bn", "features.norm0"), ("fc1000", "classifier")])
  func `the first names are read`(layer: String, module: String) {
    #expect(KerasNames.module(of: layer) == module)
  }

  @Test(arguments: [
    "conv2_block1_0_bn_1", "conv2_block1_0", "conv_block1_0_bn", "conv2_block0_0_bn", "conv2_block1001_0_bn", "pool2",
    "pool+2_bn", "conv1_relu", "xbn", "bnx", "dense_1", "",
  ])
  func `other names are none`(name: String) {
    #expect(KerasNames.module(of: name) == nil)
    #expect(KerasNames.layer(of: name) == nil)
  }
}
