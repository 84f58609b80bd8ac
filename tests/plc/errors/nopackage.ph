class a { };
class .absolute.b { };
class .absolute.b { int x; };
