import ArgumentParser

@main
struct CheXNet: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "chexnet")
}
