class a { };
class .absolute.b { };
class .internal.string { };
