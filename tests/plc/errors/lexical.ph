package .test;
class a
{
    void f()
    {
        var i : int;
        i = 12ab; i = 0x; i = 99999999999999999999; i = 0b12;
        i = 'ab'; i = ''; i = '\q';
        var s : string;
        s = "bad \q escape \x4 and \uD800";
        s = "not closed;
        i = 5 # 6;
        i = 1.5e999;
    }
};
/* not closed
