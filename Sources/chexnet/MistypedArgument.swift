import ArgumentParser
import Platform

/// A command or an option that does not exist. The parser tells what is missing first, which a mistyped option leaves missing; and of a command that it
/// does not know, that it is an argument too many.
struct MistypedArgument {
  /// As it was typed: `evalute`, `--dat`.
  let text: String
  private let kind: String
  /// What would have been meant, if anything is near.
  private let meant: String?
  /// Where the right ones are told.
  let help: String

  /// The first one among `arguments`, those behind the program's name; nil where all are known.
  init?(in arguments: [String]) {
    let commands = CheXNet.configuration.subcommands
    guard let first = arguments.first, first != "help" else { return nil }
    guard let command = commands.first(where: { $0._commandName == first }) else {
      if first.hasPrefix("-") { return nil }
      let names = commands.map { $0._commandName }
      (text, kind, help) = (first, "command", "chexnet --help")
      meant = nearestName(to: first, among: names)
      return
    }
    let known = Self.options(of: command)
    // `--name=value` is one argument; behind `--` there are none.
    let typed = arguments.dropFirst().prefix { $0 != "--" }.filter { $0.hasPrefix("--") }
      .map { String($0.prefix { $0 != "=" }) }
    guard let unknown = typed.first(where: { !known.contains($0) }) else { return nil }
    (text, kind, help) = (unknown, "option", "chexnet \(first) --help")
    meant = nearestName(to: unknown, among: known)
  }

  /// Those that its help has, as `--data`.
  private static func options(of command: any ParsableCommand.Type) -> [String] {
    CheXNet.helpMessage(for: command, columns: 1000).split { !($0.isLetter || $0.isNumber || $0 == "-") }
      .map(String.init).filter { $0.hasPrefix("--") }
  }

  var message: String {
    "Unknown \(kind) '\(text.printable)'." + (meant.map { " Did you mean '\($0)'?" } ?? "")
  }
}
